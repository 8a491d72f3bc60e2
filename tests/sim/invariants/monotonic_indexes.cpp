// Within a life term, commit and applied index never decrease, and applied <= commit <= last.  Over
// restarts of one identity the term never falls below what other nodes were told.
#include <map>

#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class MonotonicIndexes final : public Invariant {
 public:
  const char* name() const override { return "monotonic term, commit and applied"; }

  void on_change(Checker& checker, size_t node, const Sight& before, const Sight& now) override {
    if (!now.running) return;
    bool good = now.applied <= now.commit && now.commit <= now.last.index &&
                now.base.index <= now.applied && now.last.term <= now.term;
    if (before.same_life(now)) {
      good = good && before.term <= now.term && before.commit <= now.commit &&
             before.applied <= now.applied && before.base.index <= now.base.index;
    }
    const raft::Term told = told_[checker.cluster()[node].id()];
    if (good && told <= now.term) return;
    checker.violated(
        name(), fmt::format("{}: term {} -> {} (told {}), commit {} -> {}, applied {} -> {}, log "
                            "{}..{}",
                            checker.name(node), before.term.value, now.term.value, told.value,
                            before.commit.value, now.commit.value, before.applied.value,
                            now.applied.value, now.base.index.value, now.last.index.value));
  }

  void on_send(Checker&, SimNode& node, const raft::Message& message) override {
    const bool pre = message.type == raft::MessageType::kPreVote ||
                     (message.type == raft::MessageType::kPreVoteReply && !message.reject);
    if (!pre) told_[node.id()] = std::max(told_[node.id()], message.term);
  }

 private:
  std::map<raft::NodeId, raft::Term> told_;
};

}  // namespace

std::unique_ptr<Invariant> monotonic_indexes() {
  return std::make_unique<MonotonicIndexes>();
}

}  // namespace kvstore::sim
