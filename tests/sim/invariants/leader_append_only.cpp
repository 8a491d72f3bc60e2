// Leader Append-Only (§5.3): a leader never drops or replaces an entry of its log.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class LeaderAppendOnly final : public Invariant {
 public:
  const char* name() const override { return "leader append-only"; }

  void on_change(Checker& checker, size_t node, const Sight& before, const Sight& now) override {
    if (!before.same_life(now) || before.role != raft::Role::kLeader ||
        now.role != raft::Role::kLeader || before.term != now.term) {
      return;
    }
    if (checker.cluster()[node].raft().log().contains(before.last)) return;
    if (before.last.index < now.base.index) return;  // compacted meanwhile
    checker.violated(name(), fmt::format("{} leads term {} and lost entry {}", checker.name(node),
                                         now.term.value, before.last.index.value));
  }
};

}  // namespace

std::unique_ptr<Invariant> leader_append_only() {
  return std::make_unique<LeaderAppendOnly>();
}

}  // namespace kvstore::sim
