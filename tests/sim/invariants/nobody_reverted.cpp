// A leader takes a peer for one that lost what it had acknowledged only if that happened: here no
// disk goes back to an older state, and whoever lost his disk comes back under another id.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class NobodyReverted final : public Invariant {
 public:
  const char* name() const override { return "nobody reverted"; }

  void on_change(Checker& checker, size_t node, const Sight&, const Sight& now) override {
    if (!now.running || now.role != raft::Role::kLeader) return;
    for (const raft::PeerStatus& peer : checker.cluster()[node].raft().peers()) {
      if (!peer.reverted) continue;
      checker.violated(
          name(), fmt::format("{} takes {:016x} for reverted", checker.name(node), peer.id.value));
    }
  }
};

}  // namespace

std::unique_ptr<Invariant> nobody_reverted() {
  return std::make_unique<NobodyReverted>();
}

}  // namespace kvstore::sim
