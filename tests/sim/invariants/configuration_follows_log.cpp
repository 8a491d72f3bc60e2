// The configuration in force is the newest one in the log (§4.1): also after a truncation took a
// newer one away, and after a restart.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class ConfigurationFollowsLog final : public Invariant {
 public:
  const char* name() const override { return "configuration follows the log"; }

  void on_change(Checker& checker, size_t node, const Sight& before, const Sight& now) override {
    if (!now.running || (before.same_life(now) && before.last == now.last)) return;
    const raft::RaftNode& raft = checker.cluster()[node].raft();
    for (uint64_t i = now.last.index.value; i > now.applied.value; --i) {
      std::optional<raft::Entry> entry = checker.entry(node, {i});
      if (!entry || entry->kind != raft::EntryKind::kConfiguration) continue;
      Result<raft::Configuration> newest = raft::Configuration::decode(entry->data.view());
      return compare(checker, node, newest.is_ok() && *newest == raft.configuration());
    }
    compare(checker, node, raft.configuration() == raft.configuration_at(now.applied));
  }

 private:
  void compare(Checker& checker, size_t node, bool equal) {
    if (equal) return;
    checker.violated(name(), checker.name(node) + " uses another configuration than its log's");
  }
};

}  // namespace

std::unique_ptr<Invariant> configuration_follows_log() {
  return std::make_unique<ConfigurationFollowsLog>();
}

}  // namespace kvstore::sim
