// Decides how much of the log may go: never above what the state made durable, nor above what the
// receiver of a snapshot will need, and leaving a tail for slow followers.
//
// A tail of `trailing_entries` is always kept, and more for peers that take part but lag, up to
// `trailing_bytes`; large entries make both shorter.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>

#include "raft/raft_log.hpp"

namespace kvstore::node {

class CompactionPolicy {
 public:
  CompactionPolicy(uint64_t trailing_entries, uint64_t trailing_bytes)
      : trailing_entries_(trailing_entries),
        trailing_bytes_(trailing_bytes),
        mark_bytes_(std::clamp<uint64_t>(trailing_bytes / 64, 1, kMarkBytesMax)) {}

  // Entries up to `last` were appended, `bytes` more than when last told.
  void on_appended(raft::Index last, uint64_t bytes);

  // What follows `from` is kept for this peer until release(), but no longer than `until_ms`: a
  // stream to it runs, or has ended and the peer has yet to take what came after.
  void hold(raft::NodeId peer, raft::Index from, uint64_t until_ms) {
    holds_[peer] = {from, until_ms};
  }
  void release(raft::NodeId peer) { holds_.erase(peer); }
  void release_all() { holds_.clear(); }
  // The peer has everything up to `match`: what is held for it begins there.
  void follow(raft::NodeId peer, raft::Index match);

  // The index up to which the log can be dropped now; the log's base when nothing is worth
  // dropping.  `slowest`: the smallest match of the peers that take part.  Without `keep_tail` no
  // entries are kept but those that a peer is about to need.
  raft::Index upto(const raft::RaftLog& log, raft::Index durable, raft::Index slowest,
                   uint64_t now_ms, bool keep_tail = true);

 private:
  struct Mark {
    raft::Index index;
    uint64_t bytes = 0;  // total appended since start up to here
  };
  struct Hold {
    raft::Index from;
    uint64_t until_ms = 0;
  };
  static constexpr uint64_t kMarkBytesMax = 1 << 20;

  raft::Index start_of_trailing_bytes(raft::Index first) const;

  uint64_t trailing_entries_;
  uint64_t trailing_bytes_;
  uint64_t mark_bytes_;  // how exactly bytes are known
  uint64_t total_bytes_ = 0;
  std::deque<Mark> marks_;
  std::map<raft::NodeId, Hold> holds_;
};

}  // namespace kvstore::node
