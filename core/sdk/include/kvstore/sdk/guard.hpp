// Errors inside a plugin are exceptions; guard() turns them into kvs_status at the boundary, so
// that no exception ever crosses the ABI.
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <kvstore/abi/base.h>

namespace kvstore::sdk {

// Throw this for a failure with a definite status.
class Error : public std::runtime_error {
 public:
  Error(kvs_status code, const std::string& message, int sys_errno = 0)
      : std::runtime_error(message), code_(code), sys_errno_(sys_errno) {}
  kvs_status code() const { return code_; }
  int sys_errno() const { return sys_errno_; }

 private:
  kvs_status code_;
  int sys_errno_;
};

// Fills the caller's error, as far as its struct_size reaches, and returns `code`.  err may be
// NULL. A message that does not fit is cut.
inline kvs_status fail(kvs_error* err, kvs_status code, std::string_view message,
                       int sys_errno = 0) noexcept {
  if (err != nullptr && err->struct_size >= sizeof(kvs_error)) {
    err->code = code;
    err->sys_errno = sys_errno;
    size_t n = std::min(message.size(), sizeof err->message - 1);
    // Never cut inside a UTF-8 sequence.
    if (n < message.size()) {
      while (n > 0 && (static_cast<unsigned char>(message[n]) & 0xC0u) == 0x80u) --n;
    }
    std::memcpy(err->message, message.data(), n);
    err->message[n] = '\0';
  }
  return code;
}

// Runs fn, which returns kvs_status or void (void: KVS_OK), and maps what it throws:
// Error -> its code, bad_alloc -> NO_MEMORY, everything else -> INTERNAL.
template <typename Fn>
kvs_status guard(kvs_error* err, Fn&& fn) noexcept {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Fn>>) {
      std::forward<Fn>(fn)();
      return KVS_OK;
    } else {
      return std::forward<Fn>(fn)();
    }
  } catch (const Error& e) {
    return fail(err, e.code(), e.what(), e.sys_errno());
  } catch (const std::bad_alloc&) {
    return fail(err, KVS_E_NO_MEMORY, "out of memory");
  } catch (const std::exception& e) {
    return fail(err, KVS_E_INTERNAL, e.what());
  } catch (...) {
    return fail(err, KVS_E_INTERNAL, "unknown exception");
  }
}

// An empty kvs_error ready to be passed to a call.
inline kvs_error make_error() noexcept {
  kvs_error e{};
  e.struct_size = sizeof e;
  return e;
}

// Copies the part of an option struct that the caller knows into a zeroed one of today's size. Zero
// means "behave as before the member existed".
template <typename T>
T copy_options(const T* in) {
  T out{};
  std::memcpy(&out, in, std::min<size_t>(in->struct_size, sizeof out));
  out.struct_size = sizeof out;
  return out;
}

}  // namespace kvstore::sdk
