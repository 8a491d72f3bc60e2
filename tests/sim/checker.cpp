#include "sim/checker.hpp"

#include <functional>

#include <fmt/format.h>

namespace kvstore::sim {

uint64_t digest(const test::MemoryData& data) {
  uint64_t sum = 0;
  auto add = [&sum](uint64_t x) {
    sum = (sum ^ x) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 29;
  };
  for (const auto& [space, pairs] : data.spaces) {
    if (pairs.empty()) continue;
    add(space);
    for (const auto& [key, value] : pairs) {
      add(std::hash<std::string>()(key));
      add(std::hash<std::string>()(value));
    }
  }
  return sum;
}

Checker::Checker(SimCluster* cluster, Coverage* coverage)
    : cluster_(cluster), coverage_(coverage), invariants_(all_invariants()) {}

void Checker::violated(const std::string& invariant, const std::string& what) {
  if (failed()) return;
  invariant_ = invariant;
  what_ = what;
  cluster_->world.stop();
}

Sight Checker::see(size_t i) const {
  SimNode& node = (*cluster_)[i];
  Sight now;
  now.running = node.running();
  now.life = node.life();
  if (!now.running) return now;
  const raft::RaftNode& raft = node.raft();
  now.term = raft.term();
  now.role = raft.role();
  now.leader = raft.leader();
  now.commit = raft.commit_index();
  now.applied = raft.applied_index();
  now.durable = raft.durable_index();
  now.base = raft.log().base();
  now.last = raft.log().last();
  return now;
}

std::optional<raft::Entry> Checker::entry(size_t node, raft::Index index) const {
  const raft::testing::DurableLog& log = (*cluster_)[node].log_disk().visible();
  if (index <= log.base.index || index > log.last().index) return std::nullopt;
  return log.at(index);
}

void Checker::look() {
  if (failed()) return;
  while (sights_.size() < cluster_->size()) {
    sights_.emplace_back();
    before_.emplace_back();
    now_.emplace_back();
    (*cluster_)[sights_.size() - 1].probe = this;
  }
  for (size_t i = 0; i < sights_.size() && !failed(); ++i) {
    const Sight now = see(i);
    if (now == sights_[i]) continue;
    const Sight before = std::exchange(sights_[i], now);
    if (now.running) {
      before_[i] = std::exchange(now_[i], (*cluster_)[i].raft().configuration());
      note_commits(i, before, now);
      const bool led = before.same_life(now) && before.role == raft::Role::kLeader;
      if (now.role == raft::Role::kLeader && !led) coverage_->count(Fault::kElection);
    }
    for (auto& invariant : invariants_) invariant->on_change(*this, i, before, now);
  }
  for (auto& invariant : invariants_) invariant->on_step(*this);
}

// Whoever says first that an entry is committed says what it is.
void Checker::note_commits(size_t i, const Sight& before, const Sight& now) {
  const uint64_t from = before.same_life(now) ? before.commit.value : now.base.index.value;
  for (uint64_t index = from + 1; index <= now.commit.value; ++index) {
    std::optional<raft::Entry> found = entry(i, {index});
    if (!found) continue;  // a snapshot covers it
    auto [it, fresh] =
        ledger_.committed.emplace(index, Ledger::Committed{found->id.term, found->crc, now.term});
    // The configuration that a cluster begins with is committed by definition.
    const bool by_leader = now.role == raft::Role::kLeader ||
                           (before.same_life(now) && before.role == raft::Role::kLeader);
    if (fresh && !by_leader && index > 1) {
      violated("committed entries stay",
               fmt::format("{} takes entry {} for committed, which no leader committed", name(i),
                           index));
    }
    if (fresh || (it->second.term == found->id.term && it->second.crc == found->crc)) continue;
    violated("committed entries stay",
             fmt::format("{} commits entry {} of term {} where one of term {} was committed",
                         name(i), index, found->id.term.value, it->second.term.value));
  }
}

void Checker::acknowledged(raft::LogId at, uint64_t revision) {
  for (auto& invariant : invariants_) invariant->on_acknowledged(*this, at, revision);
  ledger_.acked_revision = std::max(ledger_.acked_revision, revision);
}

void Checker::read_answered(uint64_t revision, uint64_t floor) {
  for (auto& invariant : invariants_) invariant->on_read(*this, revision, floor);
}

void Checker::stale_read_answered(const StaleRead& read) {
  for (auto& invariant : invariants_) invariant->on_stale_read(*this, read);
}

void Checker::on_send(SimNode& node, const raft::Message& message) {
  for (auto& invariant : invariants_) invariant->on_send(*this, node, message);
}

void Checker::on_applied(SimNode& node, const raft::Entry& entry, const kv::CommandResult& result) {
  for (auto& invariant : invariants_) invariant->on_applied(*this, node, entry, result);
}

void Checker::on_state(SimNode& node) {
  for (auto& invariant : invariants_) invariant->on_state(*this, node);
}

void Checker::on_install(SimNode&) {
  coverage_->count(Fault::kSnapshotInstalled);
}

}  // namespace kvstore::sim
