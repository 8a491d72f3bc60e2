// What the core knows of its own log: the terms of every entry, run by run, and the newest entries
// themselves.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "raft/types.hpp"

namespace kvstore::raft {

// Entries base+1..last exist; `base` is the last compacted one ({0,0} in a new log).  The newest
// entries are held in memory up to cache_bytes; entries above a pin (not yet durable, or not yet
// applied) stay whatever the bound says, since they are bounded by other limits.
class RaftLog {
 public:
  RaftLog() = default;
  RaftLog(LogId base, uint64_t cache_bytes);

  // At start: tells of the next entry on disk, in order.  Config entries are remembered.
  void restore(const Entry& entry);

  LogId base() const { return base_; }
  Index first_index() const { return base_.index + 1; }
  LogId last() const { return last_; }

  // The term at base.index..last.index; nullopt outside.
  std::optional<Term> term_at(Index index) const;
  bool contains(const LogId& id) const { return term_at(id.index) == id.term; }
  // The last entry in base..upto whose term is at most `term`; the base when there is none, since
  // what was compacted is committed and hence held by every later leader.
  LogId last_at_or_below(Index upto, Term term) const;

  // Appends after last(); contiguous with non-decreasing terms.
  void append(Entry entry);
  // Drops index.. ; not at or below the base.
  void truncate_from(Index index);
  // Drops everything up to `index`, which exists.
  void compact(Index index);
  // Drops everything and starts after `base`.
  void reset(LogId base);

  // Entries first..last from memory, at most bytes_max but at least one; empty when `first` is not
  // in memory.
  std::vector<Entry> cached(Index first, Index last, uint64_t bytes_max) const;
  Index first_cached() const;
  // Drops cached entries at or below `index` while the cache is above its bound.
  void trim_cache(Index index);
  uint64_t cached_bytes() const { return cached_bytes_; }

  // Configuration entries seen by restore() and not yet taken, oldest first.
  const std::vector<Entry>& restored_configurations() const { return restored_configurations_; }
  void forget_restored_configurations() { restored_configurations_.clear(); }

 private:
  struct Run {
    Index first;
    Term term;
  };

  // The position in runs_ of the run that holds `index`, which is above the base.
  size_t run_of(Index index) const;
  void drop_oldest();

  LogId base_;
  LogId last_;
  uint64_t cache_bytes_ = 64 << 20;
  uint64_t cached_bytes_ = 0;
  std::deque<Run> runs_;  // runs of equal terms in base+1..last
  std::deque<Entry> cache_;
  std::vector<Entry> restored_configurations_;
};

}  // namespace kvstore::raft
