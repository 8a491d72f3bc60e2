// Leader Completeness (§5.4): what was committed in an earlier term is in the log of every leader.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class LeaderCompleteness final : public Invariant {
 public:
  const char* name() const override { return "leader completeness"; }

  void on_change(Checker& checker, size_t node, const Sight& before, const Sight& now) override {
    const bool led =
        before.same_life(now) && before.role == raft::Role::kLeader && before.term == now.term;
    if (!now.running || now.role != raft::Role::kLeader || led) return;
    const raft::RaftLog& log = checker.cluster()[node].raft().log();
    const auto& committed = checker.ledger().committed;
    for (auto it = committed.upper_bound(log.base().index.value); it != committed.end(); ++it) {
      if (it->second.in_term >= now.term) continue;
      if (log.contains({it->second.term, {it->first}})) continue;
      checker.violated(
          name(), fmt::format("{} leads term {} without entry {} of term {}, which was "
                              "committed in term {}",
                              checker.name(node), now.term.value, it->first, it->second.term.value,
                              it->second.in_term.value));
      return;
    }
  }
};

}  // namespace

std::unique_ptr<Invariant> leader_completeness() {
  return std::make_unique<LeaderCompleteness>();
}

}  // namespace kvstore::sim
