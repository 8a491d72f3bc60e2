// The state and its revision are functions of the applied index: equal on all nodes whenever they
// are at the same entry, after batches of any size, restarts, power cuts and snapshots.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class DeterministicState final : public Invariant {
 public:
  const char* name() const override { return "deterministic state"; }

  void on_applied(Checker& checker, SimNode& node, const raft::Entry& entry,
                  const kv::CommandResult& result) override {
    auto [it, fresh] = checker.ledger().revisions.emplace(entry.id.index.value, result.revision);
    if (it->second == result.revision) return;
    checker.violated(name(),
                     fmt::format("{}: revision {} after entry {}, elsewhere {}", node.name(),
                                 result.revision, entry.id.index.value, it->second));
  }

  void on_state(Checker& checker, SimNode& node) override {
    const std::shared_ptr<const test::MemoryData> data = node.store().share();
    const uint64_t sum = digest(*data);
    auto [it, fresh] = checker.ledger().state_digests.emplace(data->applied.index, sum);
    if (it->second == sum) return;
    checker.violated(name(), fmt::format("the state of {} at entry {} differs from that of another "
                                         "node",
                                         node.name(), data->applied.index));
  }
};

}  // namespace

std::unique_ptr<Invariant> deterministic_state() {
  return std::make_unique<DeterministicState>();
}

}  // namespace kvstore::sim
