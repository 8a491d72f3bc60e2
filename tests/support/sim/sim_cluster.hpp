// Nodes, the network between them, and clients.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/sim/network.hpp"
#include "support/sim/sim_node.hpp"
#include "support/sim/world.hpp"

namespace kvstore::sim {

inline constexpr uint64_t kSecond = 1'000 * kMs;

// Calls of clients: `outcome` is set once the node answered.
struct WriteCall {
  size_t node = 0;
  std::string key;
  std::string value;
  std::optional<node::ProposalOutcome> outcome;
};
struct ReadCall {
  size_t node = 0;
  std::string key;
  std::optional<node::ReadOutcome> outcome;
  std::optional<std::string> value;  // after an OK outcome; nullopt: absent
};
struct ControlCall {
  std::optional<node::ControlOutcome> outcome;
};
using WritePtr = std::shared_ptr<WriteCall>;
using ReadCallPtr = std::shared_ptr<ReadCall>;
using ControlCallPtr = std::shared_ptr<ControlCall>;

// Names are n1, n2, ... and addresses host-n1:7000, ...; node numbers start at 0.
class SimCluster {
 public:
  static constexpr uint64_t kTimeoutMs = 5'000;

  explicit SimCluster(uint64_t seed) : world(seed), network(&world) {}

  World world;
  Network network;

  // A node with an empty disk that does not run yet.
  size_t add_node();
  SimNode& operator[](size_t i) { return *nodes_[i]; }
  size_t size() const { return nodes_.size(); }

  // n1 bootstraps, the others join: `count` running voters.  False when that takes too long.
  bool form(size_t count);
  // cluster.add of node `joiner` over node `via`.
  ControlCallPtr add_member(size_t via, size_t joiner, bool learner = false);
  ControlCallPtr remove_member(size_t via, const std::string& name, bool force = false);

  // The leader of the highest term that has committed in it, if any runs.
  std::optional<size_t> leader();
  std::optional<size_t> some_follower();
  bool is_voter(size_t i);
  bool wait_for_leader(uint64_t limit_us = 20 * kSecond);

  // Starts a call; the node runs.
  WritePtr put(size_t node, const std::string& key, const std::string& value,
               uint64_t timeout_ms = kTimeoutMs, bool may_forward = true);
  WritePtr propose(size_t node, const kv::Command& command, uint64_t timeout_ms = kTimeoutMs,
                   bool may_forward = true);
  ReadCallPtr get(size_t node, const std::string& key, uint64_t timeout_ms = kTimeoutMs);
  ControlCallPtr control(size_t node, const std::string& verb, const std::string& json,
                         uint64_t timeout_ms = kTimeoutMs);

  // Runs the world until the call is answered; its code, or kTimeout when it never is.
  template <typename Call>
  Code wait(const std::shared_ptr<Call>& call, uint64_t limit_us = 60 * kSecond) {
    bool answered = world.run_until(limit_us, [&] { return call->outcome.has_value(); });
    return answered ? call->outcome->code : Code::kTimeout;
  }
  bool run_until(const std::function<bool()>& done, uint64_t limit_us = 30 * kSecond) {
    return world.run_until(limit_us, done);
  }
  void run_for(uint64_t duration_us) { world.run_for(duration_us); }

  // Cuts node `i` off from every other one.
  void isolate(size_t i);
  void crash(size_t i, SimNode::Crash how = SimNode::Crash::kProcess) { nodes_[i]->crash(how); }

  // Whether every running member applied the same index.
  bool converged();
  // The states of running members that applied the same index are equal, pair by pair.
  bool states_agree();

 private:
  std::vector<std::unique_ptr<SimNode>> nodes_;
};

}  // namespace kvstore::sim
