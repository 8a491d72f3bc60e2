// What the files of Client's calls share.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <kvstore/client/client.hpp>

#include "caller.hpp"
#include "json.hpp"
#include "request_id.hpp"
#include "watcher.hpp"

namespace kvstore::client {

inline const std::string kApi = "/api/v1";

inline Error invalid_argument(std::string message) {
  return {ErrorKind::kInvalidArgument, "invalid_argument", std::move(message)};
}

inline Error malformed(const AnswerInfo& info, const std::string& what) {
  return {ErrorKind::kMalformedAnswer, "malformed_answer",
          info.server + ": the answer is no " + what + " (is it a kvstore server?)"};
}

// POST: of what may be done again without harm.
inline Call read_call(std::string target, std::string method = "GET") {
  Call call;
  call.request.method = std::move(method);
  call.request.target = std::move(target);
  return call;
}

inline Call write_call(std::string method, std::string target) {
  Call call;
  call.request.method = std::move(method);
  call.request.target = std::move(target);
  call.is_write = true;
  return call;
}

class Client::Impl {
 public:
  Impl(std::vector<Endpoint> servers, const ClientOptions& options)
      : servers_(servers),
        timeout_(options.timeout),
        caller_(std::move(servers), options),
        request_ids_(options.request_ids) {}

  void set_limits(CallLimits limits) {
    limits_ = limits;
    caller_.set_limits(std::move(limits));
  }
  // On connections of its own: calls go on beside it.
  Result<WatchEnd> watch(const WatchOptions& options, const ChangeSink& sink) {
    return Watcher(servers_, timeout_, limits_, options, sink).run();
  }

  Caller& caller() { return caller_; }
  bool uses_request_ids() const { return request_ids_; }

  // Makes the call one that takes effect once; an error for an id that no header can carry.
  std::optional<Error> identify(Call* call, std::string_view request_id) const {
    if (request_id.empty() && !request_ids_) return std::nullopt;
    std::string id = request_id.empty() ? random_request_id() : std::string(request_id);
    if (!is_request_id(id)) {
      return invalid_argument("the request id is not 1 to 128 characters of visible ASCII");
    }
    // In quotes, so that every character stands for itself.
    call->request.headers.emplace_back("Idempotency-Key", quoted_string(id));
    call->has_request_id = true;
    return std::nullopt;
  }

  Result<Answer> run(const Call& call) { return caller_.run(call); }

  Result<Answer> run_json(Call call, const Json& document) {
    return run_text(std::move(call), document.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  // `json` is borrowed for the call.
  Result<Answer> run_text(Call call, std::string_view json) {
    const ValueSource body = ValueSource::of(json);
    call.request.body = &body;
    call.request.headers.emplace_back("Content-Type", "application/json");
    return caller_.run(call);
  }

 private:
  const std::vector<Endpoint> servers_;
  const std::chrono::milliseconds timeout_;
  CallLimits limits_;
  Caller caller_;
  bool request_ids_;
};

}  // namespace kvstore::client
