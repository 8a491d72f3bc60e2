// Election Safety (§5.2): at most one leader in a term, over the whole run.
#include <map>

#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class ElectionSafety final : public Invariant {
 public:
  const char* name() const override { return "election safety"; }

  void on_change(Checker& checker, size_t node, const Sight&, const Sight& now) override {
    if (!now.running || now.role != raft::Role::kLeader) return;
    const raft::NodeId id = checker.cluster()[node].id();
    auto [it, fresh] = leaders_.emplace(now.term, id);
    if (it->second == id) return;
    checker.violated(name(), fmt::format("{} leads term {}, which {:x} led", checker.name(node),
                                         now.term.value, it->second.value));
  }

 private:
  std::map<raft::Term, raft::NodeId> leaders_;
};

}  // namespace

std::unique_ptr<Invariant> election_safety() {
  return std::make_unique<ElectionSafety>();
}

}  // namespace kvstore::sim
