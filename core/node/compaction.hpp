// Decides how much of the log may go: never above what the state made durable, nor above what a
// snapshot on its way to a peer will need, and leaving a tail for slow followers.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "raft/raft_log.hpp"

namespace kvstore::node {

class CompactionPolicy {
 public:
  CompactionPolicy(uint64_t trailing_entries, uint64_t trailing_bytes)
      : trailing_entries_(trailing_entries), trailing_bytes_(trailing_bytes) {}

  // Entries up to `last` were appended, `bytes` more than when last told.
  void on_appended(raft::Index last, uint64_t bytes);

  // A stream that starts at `from` runs to this peer until release(), but no longer than
  // `until_ms`.
  void hold(raft::NodeId peer, raft::Index from, uint64_t until_ms) {
    holds_[peer] = {from, until_ms};
  }
  void release(raft::NodeId peer) { holds_.erase(peer); }

  // The index up to which the log can be dropped now; the log's base when nothing is worth
  // dropping.
  raft::Index upto(const raft::RaftLog& log, raft::Index durable, uint64_t now_ms);

 private:
  struct Mark {
    raft::Index index;
    uint64_t bytes = 0;  // total appended since start up to here
  };
  struct Hold {
    raft::Index from;
    uint64_t until_ms = 0;
  };
  static constexpr uint64_t kMarkBytes = 1 << 20;

  raft::Index start_of_trailing_bytes(raft::Index first) const;

  uint64_t trailing_entries_;
  uint64_t trailing_bytes_;
  uint64_t total_bytes_ = 0;
  std::deque<Mark> marks_;
  std::map<raft::NodeId, Hold> holds_;
};

}  // namespace kvstore::node
