// Watches a cluster step by step: what every node shows, what was committed and applied, and the
// invariants over both.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/faults.hpp"
#include "support/sim/sim_cluster.hpp"

namespace kvstore::sim {

// What one node shows between two steps.
struct Sight {
  bool running = false;
  uint64_t life = 0;
  raft::Term term;
  raft::Role role = raft::Role::kFollower;
  raft::NodeId leader;
  raft::Index commit;
  raft::Index applied;
  raft::Index durable;
  raft::LogId base;
  raft::LogId last;
  bool same_life(const Sight& other) const {
    return running && other.running && life == other.life;
  }
  bool operator==(const Sight&) const = default;
};

// The one history of the cluster, as the first node that knew it told it.
struct Ledger {
  struct Committed {
    raft::Term term;
    uint32_t crc = 0;
    raft::Term in_term;  // of the leader that committed it
  };
  std::map<uint64_t, Committed> committed;     // by index
  std::map<uint64_t, uint64_t> state_digests;  // of the whole state, by applied index
  std::map<uint64_t, uint64_t> revisions;      // of the store, by applied index
  uint64_t acked_revision = 0;                 // the highest that a client was told
  std::set<raft::NodeId> lost_disks;
};

class Checker;

// A read that was answered from a state of this revision.
struct StaleRead {
  uint64_t revision = 0;
  uint64_t min_revision = 0;  // 0: none was asked for
  uint64_t since_us = 0;      // nothing acknowledged before may be missing; 0: anything may
};

// One promise.  Every function is called for everything that happens; most look at one thing.
class Invariant {
 public:
  virtual ~Invariant() = default;
  virtual const char* name() const = 0;
  // The node differs from what it showed before.
  virtual void on_change(Checker&, size_t /*node*/, const Sight& /*before*/, const Sight& /*now*/) {
  }
  virtual void on_send(Checker&, SimNode&, const raft::Message&) {}
  virtual void on_applied(Checker&, SimNode&, const raft::Entry&, const kv::CommandResult&) {}
  virtual void on_state(Checker&, SimNode&) {}
  // A client was told that its write is done.
  virtual void on_acknowledged(Checker&, raft::LogId /*at*/, uint64_t /*revision*/) {}
  // A read was answered from a state of this revision; `floor`: acknowledged before it began.
  virtual void on_read(Checker&, uint64_t /*revision*/, uint64_t /*floor*/) {}
  virtual void on_stale_read(Checker&, const StaleRead&) {}
  virtual void on_step(Checker&) {}
};

std::vector<std::unique_ptr<Invariant>> all_invariants();

class Checker final : public Probe {
 public:
  Checker(SimCluster* cluster, Coverage* coverage);

  // After every step of the world.
  void look();
  void acknowledged(raft::LogId at, uint64_t revision);
  void read_answered(uint64_t revision, uint64_t floor);
  void stale_read_answered(const StaleRead& read);
  // The first violation stops the world; later ones are its consequences.
  void violated(const std::string& invariant, const std::string& what);

  bool failed() const { return !invariant_.empty(); }
  const std::string& invariant() const { return invariant_; }
  const std::string& what() const { return what_; }

  SimCluster& cluster() { return *cluster_; }
  Coverage& coverage() { return *coverage_; }
  Ledger& ledger() { return ledger_; }
  const Sight& sight(size_t node) const { return sights_[node]; }
  // The configuration of the node before its last change, and now.
  const raft::Configuration& configuration_before(size_t node) const { return before_[node]; }
  // Entry `index` of the node's log as it would be read; none below its base.
  std::optional<raft::Entry> entry(size_t node, raft::Index index) const;
  std::string name(size_t node) const { return (*cluster_)[node].name(); }

  // ---- Probe
  void on_send(SimNode& node, const raft::Message& message) override;
  void on_applied(SimNode& node, const raft::Entry& entry,
                  const kv::CommandResult& result) override;
  void on_state(SimNode& node) override;
  void on_install(SimNode& node) override;

 private:
  Sight see(size_t node) const;
  void note_commits(size_t node, const Sight& before, const Sight& now);

  SimCluster* cluster_;
  Coverage* coverage_;
  Ledger ledger_;
  std::vector<std::unique_ptr<Invariant>> invariants_;
  std::vector<Sight> sights_;
  std::vector<raft::Configuration> before_;
  std::vector<raft::Configuration> now_;
  std::string invariant_;
  std::string what_;
};

// A digest of everything that the state holds but its applied mark.
uint64_t digest(const test::MemoryData& data);

}  // namespace kvstore::sim
