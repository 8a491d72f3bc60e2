// State Machine Safety (§5.4.3): every node applies the same entry at an index, which is committed.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class StateMachineSafety final : public Invariant {
 public:
  const char* name() const override { return "state machine safety"; }

  void on_applied(Checker& checker, SimNode& node, const raft::Entry& entry,
                  const kv::CommandResult&) override {
    auto [it, fresh] = applied_.emplace(entry.id.index.value, Applied{entry.id.term, entry.crc});
    if (it->second.term != entry.id.term || it->second.crc != entry.crc) {
      checker.violated(name(),
                       fmt::format("{} applies entry {} of term {}; another node applied one "
                                   "of term {}",
                                   node.name(), entry.id.index.value, entry.id.term.value,
                                   it->second.term.value));
    }
    auto committed = checker.ledger().committed.find(entry.id.index.value);
    if (committed != checker.ledger().committed.end() && committed->second.term == entry.id.term) {
      return;
    }
    checker.violated(name(), fmt::format("{} applies entry {} of term {}, which is not committed",
                                         node.name(), entry.id.index.value, entry.id.term.value));
  }

 private:
  struct Applied {
    raft::Term term;
    uint32_t crc;
  };
  std::map<uint64_t, Applied> applied_;
};

}  // namespace

std::unique_ptr<Invariant> state_machine_safety() {
  return std::make_unique<StateMachineSafety>();
}

}  // namespace kvstore::sim
