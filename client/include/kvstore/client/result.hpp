// Errors of the client library as values: what went wrong, and what the caller may do about it.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace kvstore::client {

// What an error means to the caller.  Only kUnknownOutcome leaves open whether a write took effect:
// after every other error it did not.
enum class ErrorKind {
  kInvalidArgument,  // refused by the library: nothing was sent
  kNotFound,         // no such key, lease or member
  kConditionFailed,  // a condition of the request does not hold
  kUnreachable,      // no server could be reached, or none answered a read in time
  kNoLeader,         // servers answer, but the cluster could not take the request in time
  kUnknownOutcome,   // the write was sent and may or may not take effect
  kRefused,          // the server refuses this request; repeating it does not help
  kCancelled,        // a callback, a token or the end of the client stopped the call
  kOverloaded,       // too many calls wait in an AsyncClient: nothing was sent
  kMalformedAnswer,  // the server's answer is none of this API
};

struct Error {
  ErrorKind kind = ErrorKind::kRefused;
  // The server's machine readable code ("precondition_failed"), or one of the library's own:
  // "invalid_argument", "unreachable", "timeout", "connection_lost", "cancelled", "overloaded",
  // "malformed_answer".
  std::string code;
  std::string message;  // one line for people, without a final full stop
  int http_status = 0;  // 0: the error is not an answer of a server
  // After kConditionFailed on a key: the revision of its current value, 0 when the key is absent or
  // unknown.
  uint64_t current_revision = 0;
};

// A value or the error that explains its absence.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : value_(std::move(error)) {}  // NOLINT: implicit by design

  bool is_ok() const { return std::holds_alternative<T>(value_); }
  explicit operator bool() const { return is_ok(); }

  // Requires is_ok().
  T& value() {
    assert(is_ok());
    return std::get<T>(value_);
  }
  const T& value() const {
    assert(is_ok());
    return std::get<T>(value_);
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // Requires !is_ok().
  const Error& error() const {
    assert(!is_ok());
    return std::get<Error>(value_);
  }

 private:
  std::variant<T, Error> value_;
};

}  // namespace kvstore::client
