// Time: elections, heartbeats, CheckQuorum, watchdogs.
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

void RaftNode::Impl::handle(Tick&) {
  ++ticks_;
  apply_load_failed_ = false;
  expire_read_questions();
  if (ticks_ % options_.heartbeat_ticks == 0 &&
      std::min(commit_, writes_.durable()) > commit_written_)
    commit_hint_due_ = true;
  if (role_ == Role::kLeader)
    tick_leader();
  else
    tick_follower();
}

void RaftNode::Impl::tick_follower() {
  ++election_elapsed_;
  // A single voter need not wait for anybody, but for its own vote to become durable.
  const bool at_once = is_sole_voter() && role_ == Role::kFollower;
  if (may_campaign() && (at_once || election_elapsed_ >= election_timeout_)) {
    campaign();
  } else if (election_elapsed_ >= election_timeout_) {
    set_leader(kNoNode);  // a learner cannot campaign, but it knows that it follows nobody
  }
}

void RaftNode::Impl::tick_leader() {
  for (Progress& peer : peers_) ++peer.silent_ticks;
  if (disk_stalled()) return step_down_for_stalled_disk();
  if (!has_quorum_contact()) {
    KVS_LOG(kWarn, "raft", "node {:x}: hears no quorum in term {}, steps down", options_.id.value,
            term_.value);
    return become_follower(term_, kNoNode);
  }
  const bool heartbeat = ++heartbeat_elapsed_ >= options_.heartbeat_ticks;
  if (transfer_target_ && ++transfer_ticks_ >= options_.election_ticks) {
    KVS_LOG(kWarn, "raft", "node {:x}: {:x} did not take leadership over", options_.id.value,
            transfer_target_.value);
    transfer_target_ = kNoNode;
  }
  for (Progress& peer : peers_) tick_peer(peer);
  if (!heartbeat) return;
  heartbeat_elapsed_ = 0;
  // Also the second chance of reads whose round was lost: a later round confirms them too.
  const uint64_t before = read_round_;
  start_read_round();
  if (read_round_ == before) ++read_round_;
  note_freshness();
  broadcast_heartbeats();
  if (transfer_target_) continue_transfer();
}

void RaftNode::Impl::tick_peer(Progress& peer) {
  if (peer.snapshot_backoff_ticks > 0) --peer.snapshot_backoff_ticks;
  if (peer.removed_at && commit_ >= *peer.removed_at) ++peer.leaving_ticks;
  if (!peer.voter && ++peer.catch_up_ticks > options_.election_ticks) peer.caught_up = false;
  update_catch_up(peer);
  if (peer.state == Progress::State::kProbe && ++peer.probe_ticks >= options_.heartbeat_ticks)
    peer.paused = false;
  // B9: whatever went wrong on the way, a pipeline does not stay wedged.
  if (peer.state == Progress::State::kReplicate && !peer.inflight.empty() &&
      ++peer.ack_ticks >= kWatchdogHeartbeats * options_.heartbeat_ticks)
    peer.become_probe();
  replicate(peer);
}

bool RaftNode::Impl::has_quorum_contact() const {
  size_t heard = configuration().is_voter(options_.id) ? 1 : 0;
  for (const Progress& peer : peers_) {
    if (peer.voter && !peer.reverted && is_active(peer)) ++heard;
  }
  return heard >= configuration().quorum();
}

bool RaftNode::Impl::disk_stalled() const {
  return !is_sole_voter() && writes_.oldest_age(ticks_) >= options_.disk_stall_ticks;
}

}  // namespace kvstore::raft
