// A node never loses an entry that it holds and that was committed in its term or an earlier one,
// unless its log begins behind it (a leader of an older term, late, may still replace it on a node
// that the commitment did not need); and no
// restart loses what the node has acknowledged, unless a later leader replaced it.
#include <map>

#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class HeldEntriesStay final : public Invariant {
 public:
  const char* name() const override { return "held entries stay"; }

  void on_change(Checker& checker, size_t node, const Sight& before, const Sight& now) override {
    if (!now.running) return;
    std::map<uint64_t, raft::Term>& held = held_[node];
    const raft::RaftLog& log = checker.cluster()[node].raft().log();
    if (!before.same_life(now)) {
      held.clear();
      check_acknowledged(checker, node, log);
    } else if (before.last == now.last && before.base == now.base) {
      return;
    }
    held.erase(held.begin(), held.upper_bound(now.base.index.value));
    for (auto it = held.rbegin(); it != held.rend(); ++it) {
      if (log.contains({it->second, {it->first}})) break;
      check_lost(checker, node, {it->second, {it->first}}, now.term);
    }
    held.erase(held.upper_bound(now.last.index.value), held.end());
    for (uint64_t i = now.last.index.value; i > now.base.index.value; --i) {
      const raft::Term term = log.term_at({i}).value_or(raft::Term{});
      auto [it, fresh] = held.emplace(i, term);
      if (!fresh && it->second == term) break;
      it->second = term;
    }
  }

  void on_send(Checker&, SimNode& node, const raft::Message& message) override {
    if (message.type != raft::MessageType::kAppendReply || message.reject) return;
    const raft::testing::DurableLog& log = node.log_disk().visible();
    if (message.match <= log.base.index || message.match > log.last().index) return;
    raft::LogId& acknowledged = acknowledged_[node.id()];
    acknowledged = std::max(acknowledged, log.at(message.match).id);
  }

 private:
  void check_lost(Checker& checker, size_t node, raft::LogId lost, raft::Term now) {
    auto it = checker.ledger().committed.find(lost.index.value);
    if (it == checker.ledger().committed.end() || it->second.term != lost.term ||
        it->second.in_term > now) {
      return;
    }
    checker.violated(name(), fmt::format("{} dropped entry {} of term {}, which is committed",
                                         checker.name(node), lost.index.value, lost.term.value));
  }

  void check_acknowledged(Checker& checker, size_t node, const raft::RaftLog& log) {
    auto it = acknowledged_.find(checker.cluster()[node].id());
    if (it == acknowledged_.end()) return;
    const raft::LogId id = it->second;
    if (log.base().index >= id.index || log.contains(id) || log.last().term > id.term) return;
    checker.violated(name(), fmt::format("{} started without entry {} of term {}, which it had "
                                         "acknowledged",
                                         checker.name(node), id.index.value, id.term.value));
  }

  std::map<size_t, std::map<uint64_t, raft::Term>> held_;
  std::map<raft::NodeId, raft::LogId> acknowledged_;
};

}  // namespace

std::unique_ptr<Invariant> held_entries_stay() {
  return std::make_unique<HeldEntriesStay>();
}

}  // namespace kvstore::sim
