// A disk for tests of the raft core: a log and a hard state as plugins keep them, with writes that
// take time and are lost in a crash unless they were reported durable.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "raft/raft_node.hpp"

namespace kvstore::raft::testing {

// The durable content.  Checks what abi.md demands of writes (contiguity, truncation above the
// base).
struct DurableLog {
  HardState hard_state;
  LogId base;
  std::vector<Entry> entries;

  LogId last() const { return entries.empty() ? base : entries.back().id; }
  const Entry& at(Index index) const;
  bool contains(LogId id) const;
  // The parts of a write in their order: 0 hard state, 1 truncation, 2.. entries; only the first
  // `parts` take effect.
  void apply(const LogWrite& write, size_t parts = SIZE_MAX);
  void compact(Index upto);
  void reset(LogId new_base);
};

// What is visible to readers includes the writes under way; what survives a crash may not.
class TestDisk {
 public:
  void write(LogWrite write) {
    visible_.apply(write);
    queue_.push_back(std::move(write));
  }
  // Makes up to `count` of the queued writes durable; the highest sequence, 0 if nothing was
  // queued.
  uint64_t persist(size_t count = SIZE_MAX);
  bool idle() const { return queue_.empty(); }
  size_t queued() const { return queue_.size(); }

  // Power loss: of the queued writes the first `whole` survive and `parts` of the next.
  void crash(size_t whole = 0, size_t parts = 0);

  // Completes what is queued (its highest sequence is returned, as by persist), then empties the
  // log.
  uint64_t reset(LogId base);
  // `upto` is durable.
  void compact(Index upto);

  EntriesLoaded load(const LoadRequest& request) const;
  // As a node finds it at start, with its state machine at `applied`.  Where the log does not hold
  // the applied mark it is reset to it (abi.md §7 c).
  Restored restore(LogId applied, Configuration configuration, uint64_t cache_bytes);

  // What a disk must never do: the newest entry is gone; the queued writes are, whose highest
  // sequence is returned; an entry that was truncated is back behind the last one.
  void lose_last();
  uint64_t lose_queued();
  void bring_back(Entry entry);

  const DurableLog& durable() const { return durable_; }
  const DurableLog& visible() const { return visible_; }

 private:
  DurableLog durable_;
  DurableLog visible_;
  std::deque<LogWrite> queue_;
  bool lossy_ = false;  // after lose_queued(): what does not follow the log's end is lost as well
};

}  // namespace kvstore::raft::testing
