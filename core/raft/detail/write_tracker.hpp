// Which part of the own log is durable, while writes are on their way to the disk.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "raft/types.hpp"

namespace kvstore::raft {

// Writes are numbered from 1 and complete in order.  A write that is in flight counts only for
// those of its entries that were not truncated or dropped since: a late completion can never make
// an entry durable that took the place of the one written.
class WriteTracker {
 public:
  explicit WriteTracker(Index durable) : durable_(durable) {}

  // The number that the next write gets.
  uint64_t next_sequence() const { return next_sequence_; }
  // A write was handed out in tick `now`; `last` is its last entry, if it has any.
  void add(std::optional<Index> last, uint64_t now);
  // Entries from `index` on are no longer the log's.
  void truncate_from(Index index);
  // The log was replaced by an empty, durable one that starts after `base`.
  void reset(Index base);
  // Every write up to `sequence` is durable.  Repetitions are ignored.
  void persisted(uint64_t sequence);

  // Every entry of the log up to here is on disk.
  Index durable() const { return durable_; }
  uint64_t persisted_sequence() const { return persisted_; }
  // Ticks since the oldest write that is still outstanding was handed out; 0 when there is none.
  uint64_t oldest_age(uint64_t now) const {
    return in_flight_.empty() ? 0 : now - in_flight_.front().tick;
  }
  bool idle() const { return in_flight_.empty(); }

 private:
  struct InFlight {
    uint64_t sequence;
    Index last;  // 0: no entry of it counts
    uint64_t tick;
  };

  uint64_t next_sequence_ = 1;
  uint64_t persisted_ = 0;
  Index durable_;
  std::deque<InFlight> in_flight_;
};

}  // namespace kvstore::raft
