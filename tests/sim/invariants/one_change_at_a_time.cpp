// Membership (§4.1): a leader's log holds at most one configuration that is not committed, which
// differs from the one before by at most one voter, and is appended only after an entry of the
// leader's own term was committed.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class OneChangeAtATime final : public Invariant {
 public:
  const char* name() const override { return "one membership change at a time"; }

  void on_change(Checker& checker, size_t node, const Sight& before, const Sight& now) override {
    if (!before.same_life(now) || now.role != raft::Role::kLeader ||
        before.role != raft::Role::kLeader || before.last == now.last) {
      return;
    }
    // A new leader may not know yet what its predecessor committed.
    const auto& committed = checker.ledger().committed;
    const uint64_t settled = committed.empty() ? 0 : committed.rbegin()->first;
    size_t open = 0;
    for (uint64_t i = settled + 1; i <= now.last.index.value; ++i) {
      std::optional<raft::Entry> entry = checker.entry(node, {i});
      if (entry && entry->kind == raft::EntryKind::kConfiguration) ++open;
    }
    const raft::Configuration& from = checker.configuration_before(node);
    const raft::Configuration& to = checker.cluster()[node].raft().configuration();
    const bool fresh = !(from == to);
    const bool ready = checker.cluster()[node].raft().leader_ready();
    if (open <= 1 && (!fresh || (raft::Configuration::is_single_change(from, to) && ready))) return;
    checker.violated(name(), fmt::format("{} leads term {} with {} open configurations{}",
                                         checker.name(node), now.term.value, open,
                                         ready ? "" : ", before its first entry is committed"));
  }
};

}  // namespace

std::unique_ptr<Invariant> one_change_at_a_time() {
  return std::make_unique<OneChangeAtATime>();
}

}  // namespace kvstore::sim
