// Snapshots (§5): who needs one, and what to do with one that came.
#include <algorithm>

#include "base/mutation.hpp"
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

using State = Progress::State;

void RaftNode::Impl::request_snapshot(Progress& peer) {
  // Not to a peer that does not answer, nor again right after a failure: the next heartbeat or
  // its answer comes back here.
  peer.paused = true;
  peer.probe_ticks = 0;
  if (!is_active(peer) || peer.snapshot_backoff_ticks > 0) return;
  peer.become_snapshot();
  auto& outstanding = snapshots_outstanding_;
  if (std::find(outstanding.begin(), outstanding.end(), peer.id) != outstanding.end()) return;
  outstanding.push_back(peer.id);
  out_->send_snapshots.push_back(peer.id);
}

void RaftNode::Impl::handle(SnapshotSent& event) {
  std::erase(snapshots_outstanding_, event.peer);
  Progress* peer = role_ == Role::kLeader ? find_peer(event.peer) : nullptr;
  if (peer == nullptr || peer->state != State::kSnapshot) return;
  peer->become_probe();
  if (event.ok && event.last.index <= log_.last().index) {
    // A probe behind the snapshot; only the peer's own word moves match.
    peer->next = std::max(peer->next, event.last.index + 1);
  } else {
    peer->snapshot_backoff_ticks = options_.election_ticks;
  }
  replicate(*peer);
}

void RaftNode::Impl::handle(SnapshotStaged& event) {
  out_->snapshot_decision = decide_snapshot(event);
  if (out_->snapshot_decision == SnapshotDecision::kInstall) installing_ = std::move(event.meta);
}

SnapshotDecision RaftNode::Impl::decide_snapshot(const SnapshotStaged& event) {
  const LogId last = event.meta.last;
  if (event.term < term_ || event.term.value - term_.value > kTermJumpMax || installing_)
    return SnapshotDecision::kStale;
  if (event.from == options_.id || !event.from || last.term > event.term ||
      !event.meta.configuration.is_valid() || event.meta.configuration.voter_count() == 0) {
    KVS_LOG(kError, "raft", "node {:x}: refused an impossible snapshot of {:x} at {}",
            options_.id.value, event.from.value, last.index.value);
    return SnapshotDecision::kStale;
  }
  if (event.term > term_) become_follower(event.term, kNoNode);
  follow(event.from);
  if (last.index <= commit_ && !KVS_MUTATED(kInstallStaleSnapshot))
    return SnapshotDecision::kAlreadyHave;
  const bool conflict_kept = KVS_MUTATED(kSnapshotKeepsConflict) && last.index <= log_.last().index;
  if ((log_.contains(last) && !KVS_MUTATED(kSnapshotDropsSuffix)) || conflict_kept) {
    // The log agrees up to there and what is beyond may be acknowledged: keep it (D1).
    advance_commit(last.index);
    ack_wanted_ = std::max(ack_wanted_, last.index);
    send_ack();
    return SnapshotDecision::kAlreadyHave;
  }
  return SnapshotDecision::kInstall;
}

void RaftNode::Impl::handle(SnapshotInstalled& event) {
  KVS_ASSERT(installing_ && installing_->last == event.meta.last);
  const LogId last = event.meta.last;
  KVS_ASSERT((last.index > commit_ || KVS_MUTATED(kInstallStaleSnapshot)) &&
             pending_.entries.empty());
  installing_.reset();
  log_.reset(last);
  writes_.reset(last.index);
  commit_ = applied_ = given_out_ = last.index;
  matched_ = last.index;
  applying_.clear();
  applying_bytes_ = 0;
  apply_load_.reset();
  configurations_.clear();
  configurations_.emplace_back(last.index, std::move(event.meta.configuration));
  out_->configuration_changed = true;
  if (term_ < last.term) become_follower(last.term, kNoNode);
  if (leader_) send_ack();
}

void RaftNode::Impl::handle(SnapshotInstallFailed&) {
  installing_.reset();
}

void RaftNode::Impl::handle(LogCompacted& event) {
  KVS_ASSERT(event.upto <= applied_);
  if (event.upto <= log_.base().index) return;
  log_.compact(event.upto);
  auto newer = std::find_if(configurations_.begin() + 1, configurations_.end(),
                            [&](const auto& c) { return c.first > event.upto; });
  configurations_.erase(configurations_.begin(), newer - 1);
}

}  // namespace kvstore::raft
