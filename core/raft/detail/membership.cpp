// Membership, one change at a time (§4.1-4.3), learners (§4.2.1) and removal (§4.2.2).
#include <algorithm>

#include "base/mutation.hpp"
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

Code RaftNode::Impl::configuration_verdict(const Configuration& wanted) const {
  if (role_ != Role::kLeader) return Code::kNotLeader;
  // E1: without an entry of the own term a leader may not know of a configuration that is
  // committed.
  const bool pending = change_pending() && !KVS_MUTATED(kTwoChangesAtOnce);
  if (transfer_target_ || pending || !is_ready()) return Code::kBusy;
  if (!wanted.is_valid() || wanted.voter_count() == 0) return Code::kInvalid;
  if (!Configuration::is_single_change(configuration(), wanted)) return Code::kInvalid;
  return Code::kOk;
}

void RaftNode::Impl::handle(ProposeConfiguration& event) {
  ProposeResult result{event.token, configuration_verdict(event.configuration), {}};
  if (result.code == Code::kOk) {
    append_configuration(event.configuration);
    result.id = log_.last();
  }
  out_->proposals.push_back(result);
}

void RaftNode::Impl::append_configuration(const Configuration& wanted) {
  append_own(EntryKind::kConfiguration, SharedBytes(wanted.encode()));
  adopt_configuration(log_.last().index, wanted);
  broadcast_appends();
}

// §4.1: the newest configuration in the log counts as soon as it is appended.
void RaftNode::Impl::adopt_configuration(Index at, Configuration configuration) {
  KVS_ASSERT(at > configurations_.back().first);
  configurations_.emplace_back(at, std::move(configuration));
  out_->configuration_changed = true;
  if (role_ == Role::kLeader) rebuild_peers();
}

void RaftNode::Impl::rebuild_peers() {
  const Configuration& members = configuration();
  for (Progress& peer : peers_) {
    const Member* member = members.find(peer.id);
    peer.voter = member != nullptr && (member->voter || KVS_MUTATED(kLearnersCount));
    if (member != nullptr)
      peer.removed_at.reset();
    else if (!peer.removed_at)
      peer.removed_at = configurations_.back().first;
  }
  for (const Member& member : members.members) {
    if (member.id == options_.id || find_peer(member.id) != nullptr) continue;
    Progress& peer = peers_.emplace_back(member.id, log_.last().index + 1);
    peer.voter = member.voter || KVS_MUTATED(kLearnersCount);
    peer.catch_up_target = std::max(log_.last().index, term_start_);
  }
}

// A round ends when the learner has what was in the log when it began; then the next one begins.
void RaftNode::Impl::update_catch_up(Progress& peer) {
  if (peer.voter || peer.match < peer.catch_up_target) return;
  peer.caught_up = peer.catch_up_ticks <= options_.election_ticks;
  peer.catch_up_target = log_.last().index;
  peer.catch_up_ticks = 0;
}

void RaftNode::Impl::promote_learners() {
  if ((change_pending() && !KVS_MUTATED(kTwoChangesAtOnce)) || !is_ready() || transfer_target_)
    return;
  for (const Progress& peer : peers_) {
    const Member* member = configuration().find(peer.id);
    if (member == nullptr || member->voter || !member->auto_promote) continue;
    if (!peer.caught_up || peer.reverted || !is_active(peer)) continue;
    KVS_LOG(kInfo, "raft", "node {:x}: learner {:x} caught up and becomes a voter",
            options_.id.value, peer.id.value);
    Configuration wanted = configuration();
    wanted.set({.id = peer.id, .voter = true});
    return append_configuration(wanted);
  }
}

void RaftNode::Impl::drop_removed_peers() {
  std::erase_if(peers_, [this](const Progress& peer) {
    if (!peer.removed_at || commit_ < *peer.removed_at) return false;
    return peer.commit_sent >= *peer.removed_at || peer.leaving_ticks >= options_.election_ticks;
  });
}

// §4.2.2: a leader that removes itself manages the cluster, without counting itself, until the
// change is committed.
void RaftNode::Impl::step_down_if_removed() {
  if (change_pending() || configuration().is_voter(options_.id)) return;
  KVS_LOG(kInfo, "raft", "node {:x}: is no voter any more and steps down", options_.id.value);
  if (Progress* successor = best_successor()) send(make(MessageType::kTimeoutNow, successor->id));
  become_follower(term_, kNoNode);
}

}  // namespace kvstore::raft
