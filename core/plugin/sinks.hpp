// Sinks of the C ABI that end in C++ callables (internal to the faces).
#pragma once

#include <string>

#include <kvstore/abi/base.h>

#include "base/bytes.hpp"
#include "base/function_ref.hpp"
#include "base/status.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"

namespace kvstore::plugin {

// Appends to the std::string that ctx points at.
inline kvs_status append_sink(void* ctx, const kvs_slice* s) noexcept {
  static_cast<std::string*>(ctx)->append(to_bytes(*s));
  return KVS_OK;
}

// A callable and the status with which it stopped the producer, if it did.
template <typename... Args>
struct SinkCall {
  FunctionRef<Status(Args...)> fn;
  Status stopped;

  kvs_status operator()(Args... args) {
    Status status = fn(args...);
    if (status.is_ok()) return KVS_OK;
    kvs_status code = to_abi(status.code());
    stopped = std::move(status);
    return code;
  }
  // The producer's outcome, or the callable's own with its message.
  Status result(kvs_status status, const CallError& error, const char* doing) {
    return stopped.is_ok() ? error.status(status, doing) : std::move(stopped);
  }
};

}  // namespace kvstore::plugin
