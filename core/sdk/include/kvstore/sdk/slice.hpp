// Conversions between kvs_slice and std::string_view.  Nothing is copied.
#pragma once

#include <string>
#include <string_view>

#include <kvstore/abi/base.h>

namespace kvstore::sdk {

inline std::string_view view(const kvs_slice& s) {
  return {reinterpret_cast<const char*>(s.data), s.len};
}

inline kvs_slice slice(std::string_view v) {
  return {reinterpret_cast<const uint8_t*>(v.data()), v.size()};
}

// A sink that appends to the std::string its ctx points at.
inline kvs_status append_to_string(void* ctx, const kvs_slice* s) noexcept {
  try {
    static_cast<std::string*>(ctx)->append(view(*s));
    return KVS_OK;
  } catch (...) {
    return KVS_E_NO_MEMORY;
  }
}

}  // namespace kvstore::sdk
