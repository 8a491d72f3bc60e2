#include "kv/lease_records.hpp"

#include "base/codec.hpp"
#include "kv/range.hpp"

namespace kvstore::kv {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kEnding = 1;
constexpr Bytes kIndexPrefix = "leasekey/";
constexpr int kNumberBits = 16;  // a transaction changes fewer keys

Status corrupt(const char* what) {
  return Status(Code::kCorrupt, what);
}

}  // namespace

uint64_t own_lease_id(uint64_t revision, uint64_t number) {
  static_assert(kTxnChangesMax < (1u << kNumberBits));
  KVS_ASSERT(number < (1u << kNumberBits));
  return uint64_t{1} << 63 | revision << kNumberBits | number;
}

std::string lease_key(uint64_t id) {
  std::string key(kLeasePrefix);
  append_be64(&key, id);
  return key;
}

Result<uint64_t> parse_lease_key(Bytes key) {
  if (!key.starts_with(kLeasePrefix) || key.size() != kLeasePrefix.size() + sizeof(uint64_t))
    return corrupt("key of a lease: wrong size");
  const uint64_t id = read_be64(key.data() + kLeasePrefix.size());
  if (id == 0 || (id > kLeaseIdMax && !is_own_lease(id)))
    return corrupt("key of a lease: impossible id");
  return id;
}

std::string encode_lease(const LeaseRecord& record) {
  std::string out;
  Encoder e(&out);
  e.u8(kFormat);
  e.u8(record.ending ? kEnding : 0);
  e.varint(record.ttl_ms);
  e.varint(record.generation);
  return out;
}

Result<LeaseRecord> decode_lease(Bytes bytes) {
  Decoder d(bytes);
  if (d.u8() != kFormat) return corrupt("lease: unknown format");
  const uint8_t flags = d.u8();
  LeaseRecord record;
  record.ending = (flags & kEnding) != 0;
  record.ttl_ms = d.varint();
  record.generation = d.varint();
  if (!d.done() || (flags & ~kEnding) != 0) return corrupt("lease: malformed");
  if (record.ttl_ms < kTtlMsMin || record.ttl_ms > kTtlMsMax || record.generation == 0)
    return corrupt("lease: impossible values");
  return record;
}

std::string lease_keys_begin(uint64_t id) {
  std::string key(kIndexPrefix);
  append_be64(&key, id);
  return key;
}

std::string lease_keys_end(uint64_t id) {
  return prefix_successor(lease_keys_begin(id));
}

std::string lease_index_key(uint64_t id, Bytes key) {
  return lease_keys_begin(id).append(key);
}

Bytes key_of_lease_index(Bytes index_key) {
  return index_key.substr(kIndexPrefix.size() + sizeof(uint64_t));
}

}  // namespace kvstore::kv
