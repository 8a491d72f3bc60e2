// The replicated state machine: committed entries in, one atomic store write and the commands'
// results out.
//
// Deterministic: the same entries give the same state and results on every node, whatever the
// engine and however the entries are cut into batches. Concurrency: [apply-thread] only, but
// revision() and applied(): [any-thread].
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kv/leases.hpp"
#include "kv/store.hpp"
#include "kv/types.hpp"

namespace kvstore::kv {

struct LogEntry {
  enum class Kind : uint8_t { kNoop, kCommand, kConfiguration };
  uint64_t term = 0;
  uint64_t index = 0;
  Kind kind = Kind::kNoop;
  Bytes data;  // an encoded command, or the encoded configuration (stored as AppliedMark::meta)
};

class StateMachine {
 public:
  // Reads what it keeps in memory (revision, newest leader time, open uploads) from the store's
  // newest state.
  static Result<std::unique_ptr<StateMachine>> open(Store* store,
                                                    const RequestLimits& requests = {});

  // Applies entries that follow applied() without a gap.  Results has one element per entry, also
  // for those that are no commands.  An error means the store failed or an entry is not understood
  // (format or kind unknown): the node must stop; nothing may be assumed of the store but its own
  // guarantee.
  Status apply(std::span<const LogEntry> entries, std::vector<CommandResult>* results);

  // After a snapshot install replaced the store's content: reads everything again.
  Status reload();

  // The leases that came, changed or went since it was last called; all of them the first time and
  // after reload().  [apply-thread]
  LeaseChanges take_lease_changes();

  uint64_t revision() const { return revision_.load(std::memory_order_acquire); }
  uint64_t applied_index() const { return applied_index_.load(std::memory_order_acquire); }
  // Leader time of the newest command applied; never decreases.
  uint64_t newest_time_ms() const { return newest_time_ms_.load(std::memory_order_acquire); }
  // Revisions from this one on can be read, and what changed above it.
  uint64_t compacted_revision() const {
    return compacted_revision_.load(std::memory_order_acquire);
  }
  // No change of an older revision is stored: while it is not above compacted_revision(), a Compact
  // is due.
  uint64_t oldest_change() const { return oldest_change_.load(std::memory_order_acquire); }
  // What the history takes, about.
  uint64_t history_bytes() const { return history_bytes_.load(std::memory_order_acquire); }
  // Uploads not referenced by a value yet, and the oldest of their times (0: none): whether a sweep
  // is due.
  uint64_t open_uploads() const { return open_uploads_.load(std::memory_order_acquire); }
  uint64_t oldest_upload_ms() const { return oldest_upload_ms_.load(std::memory_order_acquire); }
  // Answers kept for repetitions of their requests.
  uint64_t request_records() const { return request_records_.load(std::memory_order_acquire); }

  ~StateMachine();

 private:
  struct Impl;
  StateMachine(Store* store, const RequestLimits& requests);
  void publish();

  std::unique_ptr<Impl> impl_;
  std::atomic<uint64_t> revision_{0};
  std::atomic<uint64_t> applied_index_{0};
  std::atomic<uint64_t> newest_time_ms_{0};
  std::atomic<uint64_t> compacted_revision_{0};
  std::atomic<uint64_t> oldest_change_{1};
  std::atomic<uint64_t> history_bytes_{0};
  std::atomic<uint64_t> open_uploads_{0};
  std::atomic<uint64_t> oldest_upload_ms_{0};
  std::atomic<uint64_t> request_records_{0};
};

}  // namespace kvstore::kv
