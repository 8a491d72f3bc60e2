// Between the borrowed bytes of the ABI and those of the core.  Only adopt() moves ownership.
#pragma once

#include <memory>

#include <kvstore/abi/base.h>

#include "base/bytes.hpp"

namespace kvstore::plugin {

inline kvs_slice to_slice(Bytes b) {
  return {as_u8(b), b.size()};
}
inline Bytes to_bytes(const kvs_slice& s) {
  return as_bytes(s.data, s.len);
}

// Takes over a received buffer: release() runs once, when the last copy of the result is dropped.
inline SharedBytes adopt(const kvs_buf& b) {
  Bytes view = as_bytes(b.data, b.len);
  if (b.release == nullptr) return SharedBytes(nullptr, view);
  return SharedBytes(std::shared_ptr<const void>(b.owner, b.release), view);
}

}  // namespace kvstore::plugin
