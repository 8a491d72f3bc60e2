// An index is committed by a leader only when a quorum of the voters has it on disk, and only
// through an entry of the leader's own term (§5.4.2).  A disk that
// was lost for good counts as one that has it: it may have answered for it before.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

bool holds(Checker& checker, raft::NodeId id, raft::LogId wanted) {
  if (checker.ledger().lost_disks.count(id) != 0) return true;
  SimCluster& cluster = checker.cluster();
  for (size_t i = 0; i < cluster.size(); ++i) {
    if (cluster[i].id() != id) continue;
    const raft::testing::DurableLog& log = cluster[i].log_disk().durable();
    return log.base.index >= wanted.index || log.contains(wanted);
  }
  return false;
}

bool quorum_holds(Checker& checker, const raft::Configuration& configuration, raft::LogId wanted) {
  size_t holders = 0;
  for (const raft::Member& member : configuration.members) {
    if (member.voter && holds(checker, member.id, wanted)) ++holders;
  }
  return holders >= configuration.quorum();
}

class DurableQuorum final : public Invariant {
 public:
  const char* name() const override { return "commit on a durable quorum"; }

  void on_change(Checker& checker, size_t node, const Sight& before, const Sight& now) override {
    if (!before.same_life(now) || now.role != raft::Role::kLeader ||
        before.role != raft::Role::kLeader || before.commit == now.commit) {
      return;
    }
    const raft::RaftNode& raft = checker.cluster()[node].raft();
    const std::optional<raft::Term> term = raft.log().term_at(now.commit);
    if (!term) return;
    if (*term != now.term) {
      checker.violated(
          name(), fmt::format("{} commits entry {} of term {} by counting in term {}",
                              checker.name(node), now.commit.value, term->value, now.term.value));
    }
    const raft::LogId wanted{*term, now.commit};
    // The step that commits may also begin the next change of the configuration.
    if (quorum_holds(checker, raft.configuration(), wanted) ||
        quorum_holds(checker, checker.configuration_before(node), wanted)) {
      return;
    }
    checker.violated(name(), fmt::format("{} commits entry {} in term {} without a quorum of disks",
                                         checker.name(node), now.commit.value, now.term.value));
  }
};

}  // namespace

std::unique_ptr<Invariant> durable_quorum() {
  return std::make_unique<DurableQuorum>();
}

}  // namespace kvstore::sim
