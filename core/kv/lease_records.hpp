// What the state machine keeps of leases in space 1.
//
// A key with a TTL of its own has a lease that is its alone: made by the put, gone with the next
// change of the key.  So expiry, failover and snapshots know leases only.  The ids of these are
// above all that can be granted, and clients never see them.
#pragma once

#include <cstdint>
#include <string>

#include "kv/types.hpp"

namespace kvstore::kv {

// The own lease of the key that put number `number` with a TTL of this revision makes; never the
// same for two puts.
uint64_t own_lease_id(uint64_t revision, uint64_t number);
inline bool is_own_lease(uint64_t id) {
  return id >> 63 != 0;
}

// Key "lease/" + be64(id).
struct LeaseRecord {
  uint64_t ttl_ms = 0;
  uint64_t generation = 0;  // grows from lease to lease under the same id
  bool ending = false;      // it takes no keys and will not live on
  bool operator==(const LeaseRecord&) const = default;
};
inline constexpr Bytes kLeasePrefix = "lease/";

std::string lease_key(uint64_t id);
// CORRUPT unless `key` is one.
Result<uint64_t> parse_lease_key(Bytes key);
std::string encode_lease(const LeaseRecord& record);
Result<LeaseRecord> decode_lease(Bytes bytes);

// Key "leasekey/" + be64(id) + the user's key, with an empty value: the keys of a lease.
std::string lease_keys_begin(uint64_t id);
std::string lease_keys_end(uint64_t id);
std::string lease_index_key(uint64_t id, Bytes key);
// The user's key in what lease_index_key(id, ...) made.
Bytes key_of_lease_index(Bytes index_key);

}  // namespace kvstore::kv
