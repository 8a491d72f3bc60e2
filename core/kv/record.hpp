// The value of a user key in space 0: its revisions, and its bytes or where they are.
#pragma once

#include <cstdint>
#include <string>

#include "kv/types.hpp"

namespace kvstore::kv {

// `value` is borrowed from whatever the record was decoded from or will be encoded from.
struct Record {
  uint64_t create_revision = 0;
  uint64_t mod_revision = 0;
  uint64_t version = 0;
  uint64_t lease = 0;        // 0: none; with a ttl_ms: the key's own, see lease_records.hpp
  uint64_t value_bytes = 0;  // full size
  uint64_t upload_id = 0;    // not 0: the value is in the parts of this upload
  Bytes value;               // inline values only
  uint64_t ttl_ms = 0;       // of the key's own; 0: none

  bool in_parts() const { return upload_id != 0; }
  // As clients see it.
  uint64_t granted_lease() const { return ttl_ms == 0 ? lease : 0; }
};

std::string encode_record(const Record& record);
// CORRUPT for anything that encode_record() does not write.
Result<Record> decode_record(Bytes bytes);

// The same, naming the key that the bytes were stored under.
Result<Record> decode_record_of(Bytes key, Bytes bytes);

// How many parts a value of this size has, and how long the one numbered `part` is.
inline uint64_t part_count(uint64_t value_bytes) {
  return value_bytes / kPartBytes + (value_bytes % kPartBytes != 0 ? 1 : 0);
}
inline uint64_t part_size(uint64_t value_bytes, uint64_t part) {
  uint64_t left = value_bytes - part * kPartBytes;
  return left < kPartBytes ? left : kPartBytes;
}

}  // namespace kvstore::kv
