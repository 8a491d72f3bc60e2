// The leader's membership work: changes one at a time, and callers that wait until a node has its
// role.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "node/membership.hpp"
#include "node/requests.hpp"
#include "raft/raft_node.hpp"

namespace kvstore::node {

// How: control verbs and hellos queue edits; pump() proposes the next one when no change is under
// way.  All state here is volatile: what is committed is in the configuration, and a caller whose
// leader went away gets INDETERMINATE and may repeat the call.
class MembershipManager {
 public:
  static constexpr size_t kQueueMax = 64;

  // Changes copies of both; a failure ends the edit without a change.
  using Edit = std::function<Status(Membership*, raft::Configuration*)>;
  using Done = std::function<void(const Status&)>;
  using Step = std::function<void(raft::Event)>;

  ~MembershipManager();

  // `done` comes when the edit is committed, refused or lost.  BUSY when the queue is full, TIMEOUT
  // when its turn did not come before `deadline_ms`.
  void enqueue(Edit edit, uint64_t deadline_ms, Done done);

  // Called after anything happened: finishes the current edit, starts the next.
  void pump(const raft::RaftNode& raft, const Membership& membership, uint64_t now_ms,
            const Step& step);
  // The result of the proposal that pump() stepped.
  void on_proposed(const raft::ProposeResult& result);

  // Calls `done` when this name has the role, or at the deadline.
  struct RoleWait {
    std::string name;
    bool learner_is_enough = false;
    uint64_t deadline_ms = 0;
    ControlPtr control;
  };
  void wait_for_role(RoleWait wait) { role_waits_.push_back(std::move(wait)); }
  void check_role_waits(const raft::RaftNode& raft, const Membership& membership, uint64_t now_ms);

  void fail_all(Code code, const std::string& message);

  // Tokens of its proposals have this bit, so that they are told from others.
  static constexpr uint64_t kTokenBit = uint64_t{1} << 63;

 private:
  struct Change {
    Edit edit;
    uint64_t deadline_ms = UINT64_MAX;
    Done done;
  };
  void end_late(uint64_t now_ms);
  void finish_current(const Status& status);

  std::deque<Change> queue_;
  bool active_ = false;
  Change current_;
  raft::LogId current_id_;
  bool appended_ = false;
  std::vector<RoleWait> role_waits_;
};

// "voter", "learner" or "pending" with the other fields of cluster.add's answer.
std::string role_json(const raft::RaftNode& raft, const Membership& membership,
                      const std::string& name);

}  // namespace kvstore::node
