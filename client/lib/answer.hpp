// What an answer of the server means: a success, or which kind of error.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <kvstore/client/result.hpp>
#include <kvstore/client/types.hpp>

#include "endpoint.hpp"
#include "http.hpp"
#include "json.hpp"

namespace kvstore::client {

// An error answer, with what it says about trying again.
struct Refusal {
  Error error;
  bool retryable = false;  // by another server or later, and without harm
  bool follow = false;     // only the leader takes this request
  std::optional<Endpoint> leader;
  std::chrono::milliseconds retry_after{0};
};

// `is_write`: an answer that does not say what became of the request leaves the outcome of a write
// open. Requires a response that is no success.
Refusal read_refusal(const HttpResponse& response, bool is_write);

// The "error" object of an answer, or of one operation of a batch; `is_write` as above.
Error error_of(const Json& error, int status, bool is_write);

// The server's node and revision headers.
AnswerInfo read_info(const HttpResponse& response, const Endpoint& endpoint);

// The mod_revision in an ETag, 0 when there is none.
uint64_t read_etag(const HttpResponse& response);

}  // namespace kvstore::client
