// Executes LeaseEnd: leases and their keys go, a bounded piece at a time.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "kv/batch.hpp"
#include "kv/leases.hpp"
#include "kv/txn_executor.hpp"

namespace kvstore::kv {

// Lifecycle: one for a state machine, run() for each LeaseEnd in log order.
class LeaseEnder {
 public:
  LeaseEnder(Batch* batch, Leases* leases, TxnExecutor* txns)
      : batch_(*batch), leases_(*leases), txns_(*txns) {}

  // Before each batch, after Batch::begin().
  void begin_batch() { keys_.clear(); }
  // An error means that the store failed or holds what cannot be; all else is told by the result.
  Status run(const LeaseEnd& end, CommandResult* result);

 private:
  // What one command removes.
  struct Piece {
    std::vector<Op> deletes;
    std::vector<uint32_t> slots;
    uint64_t bytes = 0;

    bool full() const { return deletes.size() >= kLeaseEndKeysMax || bytes >= kLeaseEndBytesMax; }
  };

  std::vector<uint64_t> living(const LeaseEnd& end) const;
  Status take_keys(uint64_t id, Piece* piece, bool* all);
  Status take_key(uint64_t id, const std::string& key, Piece* piece);

  Batch& batch_;
  Leases& leases_;
  TxnExecutor& txns_;
  std::deque<std::string> keys_;  // of slots
};

}  // namespace kvstore::kv
