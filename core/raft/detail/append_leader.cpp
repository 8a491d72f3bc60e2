// The leader's side of AppendEntries: feeding each peer, and heartbeats.
#include <algorithm>

#include "raft/detail/impl.hpp"

namespace kvstore::raft {

using State = Progress::State;

Progress* RaftNode::Impl::find_peer(NodeId id) {
  for (Progress& peer : peers_) {
    if (peer.id == id) return &peer;
  }
  return nullptr;
}

bool RaftNode::Impl::is_active(const Progress& peer) const {
  return peer.silent_ticks < options_.election_ticks;
}

void RaftNode::Impl::broadcast_appends() {
  for (Progress& peer : peers_) replicate(peer);
}

bool RaftNode::Impl::may_send_append(const Progress& peer) const {
  switch (peer.state) {
    case State::kProbe:
      return !peer.paused;
    case State::kReplicate:
      return peer.next <= log_.last().index &&
             peer.inflight.count() < options_.inflight_messages_max &&
             peer.inflight.bytes() < options_.inflight_bytes_max;
    case State::kSnapshot:
      break;
  }
  return false;
}

void RaftNode::Impl::replicate(Progress& peer) {
  while (may_send_append(peer) && send_append(peer)) {
  }
}

bool RaftNode::Impl::send_append(Progress& peer) {
  if (peer.load_pending || peer.reverted) return false;
  if (peer.next <= log_.base().index) {
    request_snapshot(peer);
    return false;
  }
  std::vector<Entry> entries;
  // A peer that does not answer is probed without payload.
  const bool bare = peer.state == State::kProbe && !is_active(peer);
  if (!bare && peer.next <= log_.last().index) {
    entries = log_.cached(peer.next, log_.last().index, options_.append_bytes_max);
    if (entries.empty()) {
      request_load(peer);
      return false;
    }
  }
  ship(peer, std::move(entries));
  return true;
}

void RaftNode::Impl::ship(Progress& peer, std::vector<Entry> entries) {
  const Index previous = peer.next - 1;
  const Index end = previous + entries.size();
  KVS_ASSERT(entries.empty() || entries.front().id.index == peer.next);
  KVS_ASSERT(entries.empty() || entries.back().id.index == end);
  Message append = make(MessageType::kAppend, peer.id);
  append.log = {*log_.term_at(previous), previous};
  append.commit = commit_;
  append.read_round = read_round_;
  append.entries = std::move(entries);
  peer.round_sent = read_round_;
  peer.commit_sent = std::max(peer.commit_sent, std::min(commit_, end));
  if (peer.state == State::kProbe) {
    peer.paused = true;
    peer.probe_ticks = 0;
  } else if (!append.entries.empty()) {
    uint64_t bytes = 0;
    for (const Entry& entry : append.entries) bytes += entry_bytes(entry);
    if (peer.inflight.empty()) peer.ack_ticks = 0;
    peer.inflight.add(end, bytes);
    peer.next = end + 1;
  }
  send(std::move(append));
}

void RaftNode::Impl::request_load(Progress& peer) {
  peer.load_pending = true;
  peer.load_first = peer.next;
  const Index last = std::min(log_.last().index, log_.first_cached() - 1);
  out_->loads.push_back({peer.id, peer.next, last, options_.append_bytes_max});
}

void RaftNode::Impl::handle(EntriesLoaded& event) {
  if (event.peer == kNoNode) return take_loaded_for_apply(event);
  if (role_ != Role::kLeader) return;
  Progress* peer = find_peer(event.peer);
  if (peer != nullptr) take_loaded(*peer, event);
}

void RaftNode::Impl::take_loaded(Progress& peer, EntriesLoaded& event) {
  // The peer may have moved on, or been probed anew, since the question: then the answer is stale.
  if (!peer.load_pending || peer.load_first != event.first) return;
  peer.load_pending = false;
  if (event.code == Code::kCompacted) {
    request_snapshot(peer);
    return;
  }
  if (event.code != Code::kOk || !is_intact_range(event.entries, event.first)) {
    if (event.code != Code::kOk)
      KVS_LOG(kError, "raft", "node {:x}: cannot read entries from {} on for {:x}: {}",
              options_.id.value, event.first.value, peer.id.value, code_name(event.code));
    // The next heartbeat asks again.
    if (peer.state == State::kReplicate) peer.become_probe();
    peer.paused = true;
    return;
  }
  if (peer.next == event.first && may_send_append(peer)) ship(peer, std::move(event.entries));
  replicate(peer);
}

void RaftNode::Impl::on_heard(Progress& peer, const Message& reply) {
  peer.silent_ticks = 0;
  peer.space_low = reply.space_low;
  if (peer.reverted) return;
  peer.round_acked = std::max(peer.round_acked, std::min(reply.read_round, read_round_));
  peer.promise_ms = reply.promise_ms;
  peer.token = reply.token;
  confirm_reads();
}

void RaftNode::Impl::handle_append_reply(const Message& message) {
  Progress* peer = role_ == Role::kLeader ? find_peer(message.from) : nullptr;
  if (peer == nullptr) return;
  on_heard(*peer, message);
  if (message.reject) return handle_append_rejected(*peer, message);
  if (message.match > log_.last().index) {
    KVS_LOG(kError, "raft", "node {:x}: {:x} acknowledged entry {} beyond the log's end {}",
            options_.id.value, message.from.value, message.match.value, log_.last().index.value);
    return;
  }
  if (peer->reverted) return;
  if (peer->inflight.free_to(message.match)) peer->ack_ticks = 0;
  const bool news = message.match >= peer->match;
  if (message.match > peer->match) peer->match_round = read_round_;
  peer->match = std::max(peer->match, message.match);
  peer->next = std::max(peer->next, peer->match + 1);
  if (news && peer->state == State::kProbe) peer->become_replicate();
  // A snapshot that arrived shows here first.
  if (news && peer->state == State::kSnapshot && peer->match >= log_.base().index)
    peer->become_replicate();
  update_catch_up(*peer);
  maybe_commit();
  replicate(*peer);
  if (peer->id == transfer_target_) continue_transfer();
}

// A rejection of an append that was sent after the peer's acknowledgement had arrived here.
bool RaftNode::Impl::notice_reverted(Progress& peer, const Message& rejection) {
  if (rejection.rejected > peer.match || rejection.read_round <= peer.match_round) return false;
  if (!peer.reverted)
    KVS_LOG(
        kError, "raft",
        "node {:x}: {:x} lost entries up to {} that it had acknowledged: was an old copy of its "
        "disk put back? It is not counted; remove it and add it again with an empty directory",
        options_.id.value, peer.id.value, peer.match.value);
  peer.reverted = true;
  peer.round_acked = 0;
  peer.become_probe();
  return true;
}

void RaftNode::Impl::handle_append_rejected(Progress& peer, const Message& message) {
  if (notice_reverted(peer, message)) return;
  // Only the rejection of what is being tried now says anything; others are late or repeated.
  if (message.rejected <= peer.match) return;
  if (peer.state == State::kSnapshot) return;
  if (peer.state == State::kProbe && message.rejected != peer.next - 1) return;
  if (message.rejected >= peer.next) return;
  // Skips, in one step, every entry of ours that the peer cannot have: those of terms newer than
  // the hint's (thesis §3.5's optimisation, from this side).
  const Index upto = std::min(message.hint.index, message.rejected - 1);
  const Index agreed = log_.last_at_or_below(upto, message.hint.term).index;
  peer.become_probe();
  // Below the base there is nothing to go back to: when even the base does not match, only a
  // snapshot helps, and next <= base asks for one.
  peer.next = std::max(peer.match, std::min(agreed, upto)) + 1;
  replicate(peer);
}

void RaftNode::Impl::send_heartbeat(Progress& peer) {
  Message heartbeat = make(MessageType::kHeartbeat, peer.id);
  heartbeat.commit = std::min(commit_, peer.match);
  heartbeat.read_round = read_round_;
  heartbeat.reverted = peer.reverted;
  heartbeat.token = peer.token_told;
  heartbeat.match = peer.commit_told;
  peer.commit_sent = std::max(peer.commit_sent, heartbeat.commit);
  peer.round_sent = read_round_;
  peer.heartbeat_round = read_round_;
  peer.heartbeat_match = peer.match;
  send(std::move(heartbeat));
}

void RaftNode::Impl::broadcast_heartbeats() {
  for (Progress& peer : peers_) send_heartbeat(peer);
}

void RaftNode::Impl::handle_heartbeat_reply(const Message& message) {
  Progress* peer = role_ == Role::kLeader ? find_peer(message.from) : nullptr;
  if (peer == nullptr) return;
  on_heard(*peer, message);
  // The peer restarted in this term and lost what it knew of our log: tell it again.
  if (peer->state == State::kReplicate && message.read_round == peer->heartbeat_round &&
      message.match < peer->heartbeat_match)
    peer->become_probe();
  replicate(*peer);
}

void RaftNode::Impl::handle(PeerUnreachable& event) {
  Progress* peer = role_ == Role::kLeader ? find_peer(event.peer) : nullptr;
  if (peer == nullptr || peer->state != State::kReplicate) return;
  peer->become_probe();
  peer->paused = true;  // until the next heartbeat
}

void RaftNode::Impl::handle(PeerConnected& event) {
  Progress* peer = role_ == Role::kLeader ? find_peer(event.peer) : nullptr;
  if (peer == nullptr || peer->state == State::kSnapshot) return;
  // Whatever was on its way over the previous connection may be lost.
  if (peer->state == State::kReplicate) peer->become_probe();
  peer->paused = false;
  replicate(*peer);
}

// A peer with nothing under way learns of the commit index at once, so that it applies soon.  Round
// 0 asks for no answer.
void RaftNode::Impl::send_commit_notices() {
  for (Progress& peer : peers_) {
    const Index news = std::min(commit_, peer.match);
    if (peer.state != State::kReplicate || news <= peer.commit_sent || !peer.inflight.empty())
      continue;
    Message notice = make(MessageType::kHeartbeat, peer.id);
    notice.commit = news;
    peer.commit_sent = news;
    send(std::move(notice));
  }
}

}  // namespace kvstore::raft
