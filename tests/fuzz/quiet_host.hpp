// A plugin's host that listens to nothing.
#pragma once

#include <chrono>
#include <cstdlib>

#include <kvstore/abi/host.h>

namespace kvstore::fuzz {

inline const kvs_host* quiet_host() {
  static const kvs_host host = [] {
    kvs_host h{};
    h.struct_size = sizeof h;
    h.abi_major = KVS_ABI_MAJOR;
    h.abi_minor = KVS_ABI_MINOR;
    h.name = "fuzz";
    h.version = "0";
    h.log = [](const kvs_host*, int32_t, const char*, uint32_t, const char*, size_t) noexcept {};
    h.log_enabled = [](const kvs_host*, int32_t) noexcept -> int32_t { return 0; };
    h.now_ns = [](const kvs_host*) noexcept -> uint64_t {
      return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    };
    h.random_u64 = [](const kvs_host*) noexcept -> uint64_t { return 4; };
    h.fatal = [](const kvs_host*, kvs_status, const char*) noexcept { std::abort(); };
    h.get_extension = [](const kvs_host*, const char*) noexcept -> const void* { return nullptr; };
    return h;
  }();
  return &host;
}

}  // namespace kvstore::fuzz
