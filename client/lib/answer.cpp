#include "answer.hpp"

#include <algorithm>
#include <charconv>

namespace kvstore::client {
namespace {

uint64_t parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

ErrorKind kind_of(int status, const std::string& code, bool retryable) {
  if (status == 412 || code == "lease_exists") return ErrorKind::kConditionFailed;
  if (code == "not_found" || code == "not_a_member" || code == "lease_not_found")
    return ErrorKind::kNotFound;
  if (retryable || status == 421 || code == "no_leader") return ErrorKind::kNoLeader;
  return ErrorKind::kRefused;
}

// An answer without the error document: of a proxy, or of another kind of server.
Refusal read_foreign(const HttpResponse& response, bool is_write) {
  Refusal out;
  out.error.http_status = response.status;
  out.error.code = "http_" + std::to_string(response.status);
  out.error.message = "the server answers HTTP " + std::to_string(response.status) +
                      " without an error document (is it a kvstore server?)";
  const int status = response.status;
  const bool busy = status == 429;
  const bool gateway = status == 502 || status == 503 || status == 504;
  out.retryable = busy || (gateway && !is_write);
  const bool unknown = is_write && !busy && status >= 500;
  out.error.kind =
      unknown ? ErrorKind::kUnknownOutcome : kind_of(status, out.error.code, out.retryable);
  return out;
}

bool is_not_done(const Json& error) {
  return get_string(error, "committed") != "unknown";
}

}  // namespace

Error error_of(const Json& error, int status, bool is_write) {
  Error out;
  out.http_status = status;
  out.code = get_string(error, "code");
  out.message = get_string(error, "message");
  const bool unknown = is_write && !is_not_done(error);
  out.kind = unknown ? ErrorKind::kUnknownOutcome
                     : kind_of(status, out.code, get_bool(error, "retryable"));
  return out;
}

Refusal read_refusal(const HttpResponse& response, bool is_write) {
  const Json document = Json::parse(response.body, nullptr, false);
  const Json* error = document.is_object() ? find_object(document, "error") : nullptr;
  Refusal out = read_foreign(response, is_write);
  if (error != nullptr) {
    const bool not_done = is_not_done(*error);
    out.error = error_of(*error, response.status, is_write);
    out.retryable = get_bool(*error, "retryable") && (not_done || !is_write);
    const Json* leader = find_object(*error, "leader");
    const std::string address = leader ? get_string(*leader, "api_address") : "";
    if (auto endpoint = parse_endpoint(address); !address.empty() && endpoint) {
      out.leader = *endpoint;
    }
    out.follow = response.status == 421 && (not_done || !is_write);
  }
  out.error.current_revision = read_etag(response);
  const uint64_t seconds = parse_number(response.header("Retry-After"));
  out.retry_after = std::chrono::seconds(std::min<uint64_t>(seconds, 3600));
  return out;
}

AnswerInfo read_info(const HttpResponse& response, const Endpoint& endpoint) {
  AnswerInfo info;
  info.server = endpoint.url();
  info.node = response.header("X-Kvstore-Node");
  info.revision = parse_number(response.header("X-Kvstore-Revision"));
  info.replayed = response.header("Idempotency-Replayed") == "true";
  info.shortened = response.header("Idempotency-Shortened") == "true";
  return info;
}

uint64_t read_etag(const HttpResponse& response) {
  std::string_view tag = response.header("ETag");
  if (tag.size() < 2 || tag.front() != '"' || tag.back() != '"') return 0;
  return parse_number(tag.substr(1, tag.size() - 2));
}

}  // namespace kvstore::client
