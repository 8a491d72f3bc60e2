#include "context.hpp"

#include <strings.h>

namespace kvstore::http {
namespace {

constexpr std::string_view kBearer = "Bearer ";
constexpr uint64_t kNsPerMs = 1'000'000;

std::string_view bearer_token(std::string_view authorization) {
  if (authorization.size() <= kBearer.size() ||
      strncasecmp(authorization.data(), kBearer.data(), kBearer.size()) != 0) {
    return {};
  }
  return authorization.substr(kBearer.size());
}

}  // namespace

kvs_call make_call(const Context& context, const Request& request, const Params& params,
                   uint64_t deadline_ms) {
  kvs_call call{};
  call.struct_size = sizeof call;
  if (!params.boolean("forward", true)) call.flags |= KVS_CALL_NO_FORWARD;
  if (const auto timeout = params.duration_ms("timeout")) {
    if (*timeout == 0) throw bad_request("parameter \"timeout\" must not be zero");
    if (deadline_ms == 0) deadline_ms = *timeout;
  }
  if (deadline_ms == 0) deadline_ms = context.config.request_timeout_ms;
  if (deadline_ms != 0) call.deadline_ns = context.host().now_ns() + deadline_ms * kNsPerMs;
  call.credential = sdk::slice(bearer_token(request.header("Authorization")));
  call.remote_address = sdk::slice(request.remote_address);
  return call;
}

}  // namespace kvstore::http
