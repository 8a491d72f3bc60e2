// Clients that use leases and TTLs all the time, and what they may rely on: a key does not vanish
// before its time, counted from when the last answered request was sent, and vanishes at last.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/checker.hpp"
#include "support/sim/sim_cluster.hpp"

namespace kvstore::sim {

// Each client lives one life after another: of a lease with a key (granted, kept alive, left alone
// or revoked and granted anew), or of a key with a TTL (put, overwritten with and without one).
class LeaseClients {
 public:
  LeaseClients(SimCluster* cluster, Checker* checker, uint64_t count);

  void start();
  // No new lives.
  void finish() { finishing_ = true; }
  bool idle() const { return open_ == 0; }
  // After every step of the world.
  void look();
  // Nothing that had an end is left on any member.
  bool all_ended();
  std::string standing() const;

 private:
  // A key that was put and acknowledged.
  struct Watched {
    std::string key;
    raft::Index put_at;
    uint64_t safe_until_us = 0;
    uint64_t gone_us = 0;  // 0: not yet seen without it
  };
  struct Life {
    size_t client = 0;
    uint64_t lease = 0;
    uint64_t ttl_ms = 0;
    uint64_t turns = 0;  // keep-alives or overwrites that are left
    std::shared_ptr<Watched> watched;
  };
  using LifePtr = std::shared_ptr<Life>;
  using Answer = std::function<void(const node::ControlOutcome&)>;
  using Put = std::function<void(const node::ProposalOutcome&)>;

  void live(size_t client);
  void end(const LifePtr& life);
  void later(uint64_t delay_us, std::function<void()> action);
  void call(const std::string& verb, const std::string& json, Answer answer);
  void put(const LifePtr& life, uint64_t ttl_ms, Put done);
  void propose(size_t node, const kv::Command& command, bool may_forward, Put done);
  size_t some_node();

  void begin_lease(const LifePtr& life);
  void use_lease(const LifePtr& life, uint64_t sent_us);
  void go_on_with_lease(const LifePtr& life);
  void revoke(const LifePtr& life);
  void grant_anew(const LifePtr& life, size_t leader);
  void begin_ttl(const LifePtr& life);
  void go_on_with_ttl(const LifePtr& life);
  void clean(const LifePtr& life);

  void keep(Watched* watched, uint64_t sent_us, uint64_t ttl_ms);
  void forget(const LifePtr& life);
  void judge(const Watched& watched);
  void require_end(const Watched& watched);
  void look_at(SimNode& node);

  SimCluster* cluster_;
  Checker* checker_;
  std::vector<uint64_t> fixed_;  // by client: the id that it chooses
  uint64_t last_fixed_ = 0;
  size_t open_ = 0;
  bool finishing_ = false;
  uint64_t last_key_ = 0;
  uint64_t fastest_percent_ = 100;  // of the nodes' clocks
  std::vector<std::shared_ptr<Watched>> watched_;
  std::map<size_t, std::pair<uint64_t, raft::Index>> seen_;  // by node: life and applied index
};

}  // namespace kvstore::sim
