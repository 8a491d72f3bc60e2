// After a failed write or sync nothing may be retried on an instance: the latch remembers the first
// such failure and answers every later call with it.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include <kvstore/sdk/guard.hpp>

namespace kvstore::sdk {

// NO_MEMORY, NO_SPACE, IO, CORRUPT, INTERNAL: the instance cannot be trusted any more.
inline bool is_environment_failure(kvs_status status) {
  return status <= KVS_E_NO_MEMORY;
}

// Only what the body throws can set the latch: a status that it returns is a normal outcome or came
// from the host's sink.  [any-thread]
class FailureLatch {
 public:
  // Runs a writer's body: refused once the latch is set, and an environment failure sets it.
  template <typename Fn>
  kvs_status write(kvs_error* err, Fn&& fn) noexcept {
    return run(err, std::forward<Fn>(fn), /*after_no_space=*/false);
  }
  // Runs a reader's body: as write(), but a full disk does not stop readers.
  template <typename Fn>
  kvs_status read(kvs_error* err, Fn&& fn) noexcept {
    return run(err, std::forward<Fn>(fn), /*after_no_space=*/true);
  }
  bool is_set() const { return code_.load(std::memory_order_acquire) != KVS_OK; }

  // Throws the latched failure, if any; for bodies that loop.
  void check() const {
    if (is_set()) throw_latched();
  }

 private:
  template <typename Fn>
  kvs_status run(kvs_error* err, Fn&& fn, bool after_no_space) noexcept {
    kvs_error local = make_error();
    if (err == nullptr) err = &local;
    bool threw = false;
    kvs_status status = guard(err, [&]() -> kvs_status {
      kvs_status latched = code_.load(std::memory_order_acquire);
      if (latched != KVS_OK && !(after_no_space && latched == KVS_E_NO_SPACE)) throw_latched();
      threw = true;
      if constexpr (std::is_void_v<std::invoke_result_t<Fn>>) {
        fn();
        threw = false;
        return KVS_OK;
      } else {
        kvs_status result = fn();
        threw = false;
        return result;
      }
    });
    if (threw && is_environment_failure(status)) set(status, err);
    return status;
  }

  void set(kvs_status status, const kvs_error* err) noexcept {
    std::lock_guard lock(mutex_);
    if (is_set()) return;
    try {
      message_ = err->struct_size >= sizeof(kvs_error) ? err->message : "";
    } catch (...) {
      message_.clear();  // the code alone still latches
    }
    code_.store(status, std::memory_order_release);
  }

  [[noreturn]] void throw_latched() const {
    std::lock_guard lock(mutex_);
    constexpr const char* kPrefix = "stopped after an earlier failure: ";
    const bool prefixed = message_.rfind(kPrefix, 0) == 0;
    throw Error(code_.load(std::memory_order_acquire), (prefixed ? "" : kPrefix) + message_);
  }

  std::atomic<kvs_status> code_{KVS_OK};
  mutable std::mutex mutex_;
  std::string message_;
};

}  // namespace kvstore::sdk
