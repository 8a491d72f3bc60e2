// Decides how much of the store's history may go: what the leader proposes to compact, and when.
//
// A revision is kept while it is among the newest keep_revisions or younger than keep_ms; above
// bytes_max the oldest go all the same, until the history is an eighth below it. Time is the
// leaders' as it stands in the log: a revision counts as made at the latest time at which it may
// have been.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "kv/types.hpp"

namespace kvstore::node {

struct HistoryLimits {
  uint64_t keep_revisions = 10'000;
  uint64_t keep_ms = 60 * 60 * 1000;
  uint64_t bytes_max = 256 << 20;
};

// What the state machine says of its history.
struct HistoryState {
  uint64_t revision = 0;
  uint64_t newest_time_ms = 0;
  uint64_t compacted_revision = 0;
  uint64_t oldest_change = 1;
  uint64_t history_bytes = 0;

  bool removal_pending() const { return oldest_change <= compacted_revision; }
};

// Every node tells it what it applied, so that a new leader knows the ages. After a start all that
// was applied before counts as made at the newest time in the state.
class HistoryRetention {
 public:
  explicit HistoryRetention(const HistoryLimits& limits) : limits_(limits) {}

  void on_applied(const HistoryState& state);
  // The state was replaced: as after a start.
  void reset(const HistoryState& state);

  // On the leader: the command that is due, if one is. leader_time_ms: what it would stamp now.
  std::optional<kv::Compact> due(uint64_t leader_time_ms);

 private:
  struct Mark {
    uint64_t revision;  // and all before it
    uint64_t time_ms;   // were made by then
  };
  // Marks that are kept: the age is known to this part of keep_ms.
  static constexpr uint64_t kMarks = 64;

  void mark(uint64_t time_ms);
  uint64_t aged_out(uint64_t now_ms);
  uint64_t excess() const;

  HistoryLimits limits_;
  HistoryState state_;
  std::deque<Mark> marks_;
  uint64_t aged_revision_ = 0;  // this and all before are older than keep_ms
  uint64_t last_ms_ = 0;        // when a command was last due
};

}  // namespace kvstore::node
