// Keys and values of the log's database.
//
//   "B"                          base:  term, index, epoch
//   "H"                          hard state: term, voted_for, commit
//   "e" epoch(be32) index(be64)  entry: term, kind, crc32c, data
//
// log.reset() opens a new epoch instead of deleting every entry in one batch; what belongs to older
// epochs, or lies at or below the base, is garbage that later writes sweep in small pieces.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <kvstore/abi/log.h>

namespace kvstore::storage_leveldb {

constexpr std::string_view kBaseKey = "B";
constexpr std::string_view kHardStateKey = "H";
constexpr char kEntryPrefix = 'e';
constexpr size_t kEntryKeyBytes = 13;
constexpr size_t kEntryHeaderBytes = 16;

template <typename Int>
void put_be(char* out, Int v) {
  for (size_t i = sizeof v; i-- > 0; v = static_cast<Int>(v >> 8)) {
    out[i] = static_cast<char>(v & 0xFFu);
  }
}
template <typename Int>
Int get_be(const char* in) {
  Int v = 0;
  for (size_t i = 0; i < sizeof v; ++i) {
    v = static_cast<Int>(v << 8) | static_cast<unsigned char>(in[i]);
  }
  return v;
}

struct EntryKey {
  EntryKey(uint32_t epoch, uint64_t index) {
    bytes[0] = kEntryPrefix;
    put_be(bytes + 1, epoch);
    put_be(bytes + 5, index);
  }
  std::string_view view() const { return {bytes, sizeof bytes}; }
  char bytes[kEntryKeyBytes];
};

struct EntryPosition {
  uint32_t epoch;
  uint64_t index;
};
// Nothing when the key is not an entry's.
inline std::optional<EntryPosition> parse_entry_key(std::string_view key) {
  if (key.size() != kEntryKeyBytes || key[0] != kEntryPrefix) return std::nullopt;
  return EntryPosition{get_be<uint32_t>(key.data() + 1), get_be<uint64_t>(key.data() + 5)};
}

inline void encode_entry(const kvs_entry& e, std::string* out) {
  char header[kEntryHeaderBytes];
  put_be(header, e.id.term);
  put_be(header + 8, e.kind);
  put_be(header + 12, e.crc32c);
  out->assign(header, sizeof header);
  if (e.data.len > 0) out->append(reinterpret_cast<const char*>(e.data.data), e.data.len);
}
// False when the value is too short; the entry's data borrows from it.
inline bool decode_entry(std::string_view value, uint64_t index, kvs_entry* e) {
  if (value.size() < kEntryHeaderBytes) return false;
  e->id = {get_be<uint64_t>(value.data()), index};
  e->kind = get_be<uint32_t>(value.data() + 8);
  e->crc32c = get_be<uint32_t>(value.data() + 12);
  e->data = {reinterpret_cast<const uint8_t*>(value.data()) + kEntryHeaderBytes,
             value.size() - kEntryHeaderBytes};
  return true;
}

struct Base {
  kvs_log_id id{};
  uint32_t epoch = 0;
};
inline std::string encode_base(const Base& base) {
  char out[20];
  put_be(out, base.id.term);
  put_be(out + 8, base.id.index);
  put_be(out + 16, base.epoch);
  return {out, sizeof out};
}
inline bool decode_base(std::string_view value, Base* base) {
  if (value.size() != 20) return false;
  base->id = {get_be<uint64_t>(value.data()), get_be<uint64_t>(value.data() + 8)};
  base->epoch = get_be<uint32_t>(value.data() + 16);
  return true;
}

inline std::string encode_hard_state(const kvs_hard_state& hard) {
  char out[24];
  put_be(out, hard.term);
  put_be(out + 8, hard.voted_for);
  put_be(out + 16, hard.commit);
  return {out, sizeof out};
}
inline bool decode_hard_state(std::string_view value, kvs_hard_state* hard) {
  if (value.size() != 24) return false;
  *hard = {get_be<uint64_t>(value.data()), get_be<uint64_t>(value.data() + 8),
           get_be<uint64_t>(value.data() + 16)};
  return true;
}

}  // namespace kvstore::storage_leveldb
