// Errors as values.  Code mirrors kvs_status of the C ABI number by number (checked in
// core/plugin).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.hpp"

namespace kvstore {

enum class Code : int32_t {
  kOk = 0,
  // The caller's fault: do not retry.
  kInvalid = -1,
  kUnsupported = -2,
  kIncompatible = -3,
  // Normal outcomes.
  kNotFound = -10,
  kEnd = -11,
  kCompacted = -12,
  kConflict = -13,
  kNotLeader = -14,
  // Transient: retry later.
  kBusy = -20,
  kTimeout = -21,
  kUnreachable = -22,
  // A write that may or may not take effect.
  kIndeterminate = -30,
  // Lifecycle.
  kCancelled = -40,
  kClosed = -41,
  // Environment: whatever reported it cannot be trusted any more.
  kNoMemory = -50,
  kNoSpace = -51,
  kIo = -52,
  kCorrupt = -53,
  kInternal = -54,
};

// The stable lower-case name of a code ("not_leader"); "unknown" for a number that is none.
std::string_view code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  explicit Status(Code code) : code_(code) {}

  static Status ok() { return {}; }

  bool is_ok() const { return code_ == Code::kOk; }
  explicit operator bool() const { return is_ok(); }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // "not_leader: message", for logs.
  std::string to_string() const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// A value or the Status that explains its absence (never an OK status).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit by design
  Result(Status status) : value_(std::move(status)) {
    KVS_ASSERT(!std::get<Status>(value_).is_ok());
  }

  bool is_ok() const { return std::holds_alternative<T>(value_); }
  explicit operator bool() const { return is_ok(); }

  // Requires is_ok().
  T& value() & {
    KVS_ASSERT(is_ok());
    return std::get<T>(value_);
  }
  const T& value() const& {
    KVS_ASSERT(is_ok());
    return std::get<T>(value_);
  }
  T&& value() && {
    KVS_ASSERT(is_ok());
    return std::get<T>(std::move(value_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // OK when there is a value.
  Status status() const { return is_ok() ? Status() : std::get<Status>(value_); }

 private:
  std::variant<T, Status> value_;
};

}  // namespace kvstore
