// One HTTP/1.1 connection to one server, with the outcome of each exchange told apart by how far it
// got.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvstore/client/types.hpp>

#include "cancel.hpp"
#include "endpoint.hpp"

namespace kvstore::client {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;
using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;
  std::string target;  // path and query, percent-encoded
  Headers headers;
  const ValueSource* body = nullptr;  // borrowed; null: no body
  // Takes the body of a 200 answer instead of HttpResponse::body.  Other answers are always
  // collected.
  ValueSink sink;
  // Told the size of that body first, if it is announced.
  std::function<void(uint64_t bytes)> on_size;
  // Every piece for the sink starts the time anew: an answer without an end of its own.
  bool progress_extends = false;
  CancelState* cancel = nullptr;  // borrowed; null: nobody cancels
  // Not 0: the body of a 200 answer goes to the sink as it comes, for as long as it takes, unless
  // nothing comes for so long.  The deadline is then that of the answer's head alone.
  std::chrono::milliseconds silence{0};
};

struct HttpResponse {
  int status = 0;
  Headers headers;
  std::string body;  // at most kAnswerBytesMax

  // The first header of that name in any case, empty when there is none.
  std::string_view header(std::string_view name) const;
};

inline constexpr uint64_t kAnswerBytesMax = uint64_t{256} << 20;

enum class ExchangeEnd {
  kAnswered,        // a complete answer
  kNotConnected,    // the server never saw the request
  kTimedOut,        // sent, and the deadline passed before the answer was complete
  kConnectionLost,  // sent, and the connection failed before the answer was complete
  kTooLarge,        // the answer is larger than kAnswerBytesMax
  kSourceFailed,    // HttpRequest::body could not be read; the server has no complete request
  kSinkStopped,     // HttpRequest::sink returned false
};

struct Exchange {
  ExchangeEnd end = ExchangeEnd::kNotConnected;
  HttpResponse response;  // valid when kAnswered
  std::string message;    // otherwise: why, for people ("connection refused")
};

class HttpConnection {
 public:
  explicit HttpConnection(Endpoint endpoint);
  HttpConnection(HttpConnection&&) noexcept;
  HttpConnection& operator=(HttpConnection&&) noexcept;
  ~HttpConnection();

  const Endpoint& endpoint() const { return endpoint_; }

  // Blocks until the answer is complete or `deadline` passed.  Connecting alone is given up at
  // `connect_deadline`.  Uses the open connection if the server has not closed it in the meantime.
  Exchange exchange(const HttpRequest& request, Deadline connect_deadline, Deadline deadline);

 private:
  class Session;
  std::optional<std::string> open(Deadline connect_deadline);
  Exchange run(const HttpRequest& request, Deadline deadline);

  Endpoint endpoint_;
  std::unique_ptr<Session> session_;  // null: not connected
};

}  // namespace kvstore::client
