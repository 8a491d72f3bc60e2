// When the leader's rounds began, and so until when its lease runs and how old its state is at
// most.
//
// A lease is counted from the moment before the first message of a confirmed round could leave, on
// this node's clock, and is shortened by how much clocks may drift against each other within it.
// Whoever uses it reads the clock after the request came: what was acknowledged before is then in
// the state up to the commit index, whatever happens afterwards.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "raft/raft_node.hpp"

namespace kvstore::node {

// Of one leadership; on a node that does not lead, `leads` is false and the rest is ignored.
struct LeaderSight {
  bool leads = false;
  raft::Term term;
  bool ready = false;  // committed its first entry
  uint64_t read_round = 0;
  uint64_t confirmed_round = 0;
  raft::Index commit;
  raft::LeaderLease lease;
};

class LeadershipClock {
 public:
  explicit LeadershipClock(uint64_t drift_percent) : drift_percent_(drift_percent) {}

  // After every step, before its messages leave.
  void look(const LeaderSight& sight, uint64_t now_ms);

  // Nobody else leads before this moment; 0: not known.
  uint64_t until_ms() const { return until_ms_; }
  // The newest moment at which this node certainly led, and the commit index of then.
  struct Confirmed {
    uint64_t at_ms = 0;
    raft::Index commit;
  };
  const std::optional<Confirmed>& confirmed() const { return confirmed_; }

 private:
  struct Round {
    uint64_t round;
    uint64_t begin_ms;
    raft::Index commit;
    bool ready;
  };
  const Round* begun(uint64_t round) const;
  uint64_t end_of(const raft::LeaderLease& lease) const;

  const uint64_t drift_percent_;
  raft::Term term_;
  std::deque<Round> rounds_;  // oldest first, at most kRoundsMax
  uint64_t until_ms_ = 0;
  std::optional<Confirmed> confirmed_;
};

}  // namespace kvstore::node
