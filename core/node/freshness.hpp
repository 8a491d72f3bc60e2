// How old this node's state is at most: everything acknowledged before fresh_ms() is in it.
//
// A follower learns it from its leader's heartbeats.  Each of its answers carries a token, which is
// the time of its own clock in disguise; a heartbeat brings back the token of an answer that the
// leader had before it began a round that a quorum confirmed, and the commit index at that begin.
// So no other clock is needed, and a delay of any message only makes the state look older.
#pragma once

#include <cstdint>
#include <deque>

#include "raft/types.hpp"

namespace kvstore::node {

class Freshness {
 public:
  // `base`, not 0: where the tokens of this life start, far from those of any other.
  Freshness(uint64_t base, uint64_t now_ms) : base_(base), start_ms_(now_ms) {}

  // For an answer that leaves now or later.
  uint64_t token(uint64_t now_ms) const { return base_ + (now_ms - start_ms_); }
  // A heartbeat said so; what is not a token of this life is ignored.
  void on_told(uint64_t token, raft::Index commit, uint64_t now_ms);
  // Everything acknowledged before `at_ms` is at or below `commit`.
  void on_known(uint64_t at_ms, raft::Index commit);
  void on_applied(raft::Index applied);

  uint64_t fresh_ms() const { return fresh_ms_; }  // 0: nothing is known

 private:
  struct Claim {
    uint64_t at_ms;
    raft::Index commit;
  };

  const uint64_t base_;
  const uint64_t start_ms_;
  raft::Index applied_;
  uint64_t fresh_ms_ = 0;
  std::deque<Claim> claims_;  // not applied that far yet; oldest first, at most kClaimsMax
};

}  // namespace kvstore::node
