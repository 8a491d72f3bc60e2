// Errors as clients see them: one JSON shape, the right status.  The README has the table.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <kvstore/abi/api.h>

namespace kvstore::http {

struct Response;

// Thrown by handlers before anything was started; also carried around as a value.
class ApiError : public std::runtime_error {
 public:
  ApiError(int status, std::string error_code, const std::string& message)
      : std::runtime_error(message), http_status(status), code(std::move(error_code)) {}

  int http_status;
  std::string code;
  bool retryable = false;
  bool committed_unknown = false;  // false: nothing was done
  bool close = false;              // the connection cannot go on
  uint32_t retry_after_s = 0;      // Retry-After; 0: none
  uint64_t revision = 0, term = 0;
  std::optional<uint64_t> deleted;              // keys that are gone: committed "partial"
  std::string leader_name, leader_api_address;  // empty: not known
  std::string headers;                          // further fields, each "Name: value\r\n"
};

// The caller's mistake: 400 with the code "invalid".
ApiError bad_request(const std::string& message);
// A feature of the API that does not exist yet: 400 with the code "unsupported".
ApiError not_supported_yet(std::string_view what);
// 422: the Idempotency-Key was used for another request.
ApiError idempotency_mismatch();
ApiError too_large(std::string_view what, uint64_t limit_bytes, std::string_view option);

// What the engine said, with the status and the code of the README's table.
ApiError error_from_status(kvs_status status, std::string_view message);
ApiError error_from_result(const kvs_result& result);
// Of a transaction, with a request id or without: under an id what may have been done may be sent
// again, and CONFLICT says that the id was used for another request.
ApiError error_from_txn(const kvs_result& result, bool has_request_id);

// "not_found", "busy", ...: the code when nothing more exact is known.
std::string_view status_name(kvs_status status);

// Appends {"code", "message", "retryable", "committed", "deleted"?, "leader"?}.
void append_error(const ApiError& error, std::string* out);
// {"error": {...}} with the status and the header fields that belong to it.
Response error_response(const ApiError& error);

}  // namespace kvstore::http
