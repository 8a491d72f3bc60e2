#include "api_error.hpp"

#include <kvstore/sdk/slice.hpp>

#include <nlohmann/json.hpp>

#include "exchange.hpp"
#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

struct StatusRow {
  kvs_status status;
  std::string_view name;
  int http_status;
  bool retryable;
  uint32_t retry_after_s;
};

constexpr StatusRow kStatusTable[] = {
    {KVS_E_INVALID, "invalid", 400, false, 0},
    {KVS_E_UNSUPPORTED, "unsupported", 501, false, 0},
    {KVS_E_INCOMPATIBLE, "incompatible", 500, false, 0},
    {KVS_E_NOT_FOUND, "not_found", 404, false, 0},
    {KVS_E_END, "end", 500, false, 0},
    {KVS_E_COMPACTED, "compacted", 410, false, 0},
    {KVS_E_CONFLICT, "conflict", 409, false, 0},
    {KVS_E_NOT_LEADER, "not_leader", 421, true, 0},
    {KVS_E_BUSY, "busy", 429, true, 1},
    {KVS_E_TIMEOUT, "timeout", 503, true, 1},
    {KVS_E_UNREACHABLE, "unreachable", 503, true, 1},
    {KVS_E_INDETERMINATE, "indeterminate", 504, false, 0},
    {KVS_E_CANCELLED, "cancelled", 503, true, 1},
    {KVS_E_CLOSED, "closed", 503, true, 1},
    {KVS_E_NO_MEMORY, "no_memory", 500, false, 0},
    {KVS_E_NO_SPACE, "no_space", 507, false, 0},
    {KVS_E_IO, "io", 500, false, 0},
    {KVS_E_CORRUPT, "corrupt", 500, false, 0},
    {KVS_E_INTERNAL, "internal", 500, false, 0},
};
constexpr StatusRow kUnknownRow = {KVS_E_INTERNAL, "internal", 500, false, 0};

const StatusRow& row_of(kvs_status status) {
  for (const StatusRow& row : kStatusTable) {
    if (row.status == status) return row;
  }
  return kUnknownRow;
}

// "code" of a control verb's document: more exact than the status.
std::string code_of(const kvs_slice& json) {
  if (json.len == 0) return {};
  const auto document = nlohmann::json::parse(sdk::view(json), nullptr, false);
  if (!document.is_object()) return {};
  const auto code = document.find("code");
  return code != document.end() && code->is_string() ? code->get<std::string>() : std::string();
}

void append_leader(const ApiError& error, std::string* out) {
  out->append(",\"leader\":{");
  if (!error.leader_name.empty()) {
    out->append("\"node_id\":");
    append_json_string(to_utf8(error.leader_name), out);
  }
  if (!error.leader_api_address.empty()) {
    out->append(error.leader_name.empty() ? "" : ",").append("\"api_address\":");
    append_json_string(to_utf8(error.leader_api_address), out);
  }
  out->push_back('}');
}

}  // namespace

std::string_view status_name(kvs_status status) {
  return row_of(status).name;
}

ApiError bad_request(const std::string& message) {
  return ApiError(400, "invalid", message);
}

ApiError not_supported_yet(std::string_view what) {
  return ApiError(400, "unsupported", std::string(what).append(" is not supported"));
}

ApiError idempotency_mismatch() {
  return ApiError(422, "idempotency_mismatch", "the request id was used for another request");
}

ApiError too_large(std::string_view what, uint64_t limit_bytes, std::string_view option) {
  std::string message(what);
  message.append(" exceeds the limit of ").append(std::to_string(limit_bytes)).append(" bytes (");
  return ApiError(413, "too_large", message.append(option).append(")"));
}

ApiError error_from_status(kvs_status status, std::string_view message) {
  const StatusRow& row = row_of(status);
  std::string text = to_utf8(message);
  if (text.empty()) text = std::string(row.name);
  ApiError error(row.http_status, std::string(row.name), text);
  error.retryable = row.retryable;
  error.retry_after_s = row.retry_after_s;
  error.committed_unknown = status == KVS_E_INDETERMINATE;
  return error;
}

ApiError error_from_result(const kvs_result& result) {
  ApiError error = error_from_status(result.status, sdk::view(result.message));
  std::string code = code_of(result.json);
  if (!code.empty()) error.code = to_utf8(code);
  if (result.committed != KVS_COMMITTED_NO) error.committed_unknown = true;
  if (error.committed_unknown) {
    // What may have been done is not simply to be repeated, and 504 alone says so.
    error.retryable = false;
    error.retry_after_s = 0;
    if (error.http_status == 503 || error.http_status == 429) error.http_status = 504;
  }
  error.revision = result.revision;
  error.term = result.at.term;
  error.leader_name = sdk::view(result.leader_name);
  error.leader_api_address = sdk::view(result.leader_api_address);
  return error;
}

void append_error(const ApiError& error, std::string* out) {
  out->append("{\"code\":");
  append_json_string(error.code, out);
  out->append(",\"message\":");
  append_json_string(to_utf8(error.what()), out);
  out->append(",\"retryable\":").append(error.retryable ? "true" : "false");
  out->append(",\"committed\":");
  out->append(error.deleted ? "\"partial\"" : error.committed_unknown ? "\"unknown\"" : "\"no\"");
  if (error.deleted) {
    out->append(",\"deleted\":");
    append_number(*error.deleted, out);
  }
  if (!error.leader_name.empty() || !error.leader_api_address.empty()) append_leader(error, out);
  out->push_back('}');
}

ApiError error_from_txn(const kvs_result& result, bool has_request_id) {
  ApiError error = error_from_result(result);
  if (!has_request_id) return error;
  if (result.status == KVS_E_CONFLICT) {
    ApiError mismatch = idempotency_mismatch();
    mismatch.revision = error.revision;
    mismatch.term = error.term;
    return mismatch;
  }
  if (error.committed_unknown) error.retryable = true;
  return error;
}

Response error_response(const ApiError& error) {
  Response response;
  response.status = error.http_status;
  response.revision = error.revision;
  response.term = error.term;
  response.headers = error.headers;
  if (error.retry_after_s != 0) {
    response.set_header("Retry-After", std::to_string(error.retry_after_s));
  }
  response.close = error.close;
  response.error_code = error.code;
  response.body = "{\"error\":";
  append_error(error, &response.body);
  response.body.append("}\n");
  return response;
}

}  // namespace kvstore::http
