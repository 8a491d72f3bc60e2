// A cluster of RaftNodes in virtual time with a hostile network, slow disks, crashes, membership
// changes and snapshots, all decided by one seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "raft/detail/random.hpp"
#include "raft/raft_node.hpp"
#include "safety_checker.hpp"
#include "support/raft/test_disk.hpp"

namespace kvstore::raft::testing {

// Time is counted in units; a node ticks about every kTick of them.
inline constexpr uint64_t kTick = 10;

// What the state machine holds at one index.
struct AppliedState {
  LogId at;
  Configuration configuration;
  uint64_t hash = 0;  // over every command up to `at`
};

struct SimNode {
  Options options;
  std::optional<RaftNode> raft;  // empty while it is down
  uint64_t life = 0;             // counts starts; what was scheduled in an earlier life is void
  TestDisk disk;
  uint64_t disk_stalled_until = 0;
  bool persist_scheduled = false;
  AppliedState state;                         // as applied now
  std::map<uint64_t, AppliedState> unsynced;  // by index: what a crash may fall back to
  AppliedState synced;
  std::deque<Entry> to_apply;
  bool apply_scheduled = false;
  bool installing = false;
  uint64_t paused_until = 0;  // the process is stopped: nothing moves in it, its disk neither
};

class RandomCluster {
 public:
  explicit RandomCluster(uint64_t seed);

  // Faults for a while, then none.  Throws Violation when an invariant breaks or the healed cluster
  // does not converge.
  void run();

 private:
  struct Scheduled {
    uint64_t time;
    uint64_t order;
    std::function<void()> action;
    bool operator<(const Scheduled& other) const {
      return std::tie(time, order) > std::tie(other.time, other.order);
    }
  };

  uint64_t below(uint64_t bound) { return random_.next() % bound; }
  bool chance(uint64_t percent) { return below(100) < percent; }
  void after(uint64_t delay, std::function<void()> action);
  // Runs `action` on the node unless it was restarted meanwhile; at the end of a pause if it is in
  // one.
  void after_on(uint64_t delay, NodeId id, std::function<void(SimNode&)> action);
  void run_until(uint64_t time);

  SimNode& add_node(NodeId id, const Configuration& configuration);
  void start(SimNode& node);
  void schedule_tick(NodeId id);
  void step(SimNode& node, Event event);
  void carry_out(SimNode& node, Output& out);
  void send(Message message);
  void arrive(const Message& message);
  void schedule_persist(SimNode& node);
  void schedule_apply(SimNode& node);
  void apply(SimNode& node);
  void answer_load(SimNode& node, const LoadRequest& request);
  void send_snapshot(SimNode& sender, NodeId to);
  void stage_snapshot(NodeId from, NodeId to, Term term, const AppliedState& state);
  void install_snapshot(SimNode& node, NodeId from, const AppliedState& state);
  void report_snapshot(NodeId from, NodeId to, bool ok, LogId last);

  // Faults and clients.
  void disturb();
  void crash(SimNode& node);
  void partition();
  void cut_one_way();
  void change_membership();
  void sync_and_compact(SimNode& node);
  void pause(SimNode& node);
  void propose();
  void read(SimNode& node);
  SimNode& any_node();
  SimNode* some_leader();

  void heal();
  bool has_converged();
  std::string describe_nodes();

  Random random_;
  SafetyChecker checker_;
  std::priority_queue<Scheduled> schedule_;
  uint64_t now_ = 0;
  uint64_t order_ = 0;
  std::map<NodeId, SimNode> nodes_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::set<std::pair<NodeId, NodeId>> streams_;  // snapshots under way
  Options base_options_;
  uint64_t drop_percent_ = 0;
  uint64_t duplicate_percent_ = 0;
  uint64_t delay_max_ = 1;
  uint64_t disk_delay_max_ = 1;
  bool faults_ = true;
  uint64_t next_node_ = 1;
  uint64_t next_token_ = 1;
};

}  // namespace kvstore::raft::testing
