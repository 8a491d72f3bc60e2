// The leases that live, and the commands and operations that change them.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "kv/lease_records.hpp"
#include "kv/record.hpp"
#include "kv/store.hpp"
#include "kv/types.hpp"

namespace kvstore::kv {

// What changed since it was last asked for, in order.
struct LeaseChanges {
  bool reset = false;  // forget all that was known before: `changes` is everything there is
  std::vector<LeaseChange> changes;
};

// Mirrors the "lease/" records of the store.  Every function that changes leases appends what the
// store has to write to `ops`.  Memory: about 64 bytes for each of at most kLeasesMax leases, and
// as much again for changes that nobody has taken.
class Leases {
 public:
  // Replaces the table by what the view holds.
  Status load(View& view);

  const LeaseRecord* find(uint64_t id) const;
  size_t count() const { return leases_.size(); }

  // INVALID, CONFLICT or BUSY change nothing.
  Status grant(const LeaseGrant& grant, uint64_t generation, std::vector<WriteOp>* ops);
  // The lease has no keys left.
  void remove(uint64_t id, std::vector<WriteOp>* ops);
  // Some keys are left: it takes no new ones.
  void mark_ending(uint64_t id, std::vector<WriteOp>* ops);

  // ---- within a transaction: counts once commit() is called and not after roll_back()
  // What `op` asks for its key: NOT_FOUND when the lease does not exist or ends, BUSY beyond
  // kLeasesMax.  Sets the record's lease and ttl.
  Status attach(const Op& op, uint64_t revision, Record* record, std::vector<WriteOp>* ops);
  // The key is overwritten or deleted, `record` being its version until now.
  void detach(Bytes key, const Record& record, std::vector<WriteOp>* ops);
  void commit();
  void roll_back();

  LeaseChanges take_changes();

 private:
  void note(const LeaseChange& change);

  std::unordered_map<uint64_t, LeaseRecord> leases_;
  LeaseChanges changes_;
  // Of the transaction under way: own leases made and gone.
  std::vector<LeaseChange> pending_;
  uint64_t made_ = 0;
  uint64_t gone_ = 0;
};

// What a command says that names a lease which does not exist, and whether an outcome is that.
Status lease_not_found(uint64_t id);
bool is_lease_not_found(Code code, Bytes message);
// Whether an outcome is a refusal because of kLeasesMax.
bool is_too_many_leases(Code code, Bytes message);

// The keys of a lease, in order.
struct LeaseKeys {
  std::vector<std::string> keys;
  bool more = false;  // `limit` or 1 MiB cut them
};
Result<LeaseKeys> read_lease_keys(View& view, uint64_t id, uint64_t limit);

}  // namespace kvstore::kv
