// Keys of the state's database.
//
//   space(1 byte, < 16) key   a pair of the state machine
//   0x10 "A"                  applied mark: term, index (be64 each)
//   0x10 "M"                  the core's meta blob
//   0x10 "R"                  redo record: a large write in progress (state_redo.hpp)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <kvstore/abi/state.h>
#include <kvstore/sdk/slice.hpp>

#include "log_format.hpp"

namespace kvstore::storage_leveldb {

constexpr std::string_view kAppliedKey =
    "\x10"
    "A";
constexpr std::string_view kMetaKey =
    "\x10"
    "M";
constexpr std::string_view kRedoKey =
    "\x10"
    "R";

// Prefixes `key` with its space, in a string that keeps its memory from call to call.
inline std::string_view space_key(uint32_t space, std::string_view key, std::string* out) {
  out->assign(1, static_cast<char>(space));
  out->append(key);
  return *out;
}

// The exclusive upper end of a range of `space`: an empty end means the end of the space.
inline std::string range_end(uint32_t space, std::string_view end) {
  std::string out(1, static_cast<char>(end.empty() ? space + 1 : space));
  return out.append(end);
}

inline std::string encode_applied(const kvs_log_id& at) {
  char out[16];
  put_be(out, at.term);
  put_be(out + 8, at.index);
  return {out, sizeof out};
}
inline bool decode_applied(std::string_view value, kvs_log_id* at) {
  if (value.size() != 16) return false;
  *at = {get_be<uint64_t>(value.data()), get_be<uint64_t>(value.data() + 8)};
  return true;
}

}  // namespace kvstore::storage_leveldb
