// Leadership transfer (§3.10), also away from a disk that does not answer.
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

void RaftNode::Impl::handle(TransferLeadership& event) {
  if (role_ != Role::kLeader) return;
  NodeId target = event.target;
  if (!target) {
    const Progress* successor = best_successor();
    if (successor == nullptr) return;
    target = successor->id;
  }
  // Nobody, a learner, a removed node or this one cannot take over (F1).
  const Progress* peer = find_peer(target);
  if (peer == nullptr || !peer->voter || peer->reverted || target == transfer_target_) return;
  KVS_LOG(kInfo, "raft", "node {:x}: hands leadership to {:x}", options_.id.value, target.value);
  transfer_target_ = target;
  transfer_ticks_ = 0;
  continue_transfer();
}

void RaftNode::Impl::continue_transfer() {
  Progress* target = find_peer(transfer_target_);
  if (target == nullptr || !target->voter || target->reverted) {
    transfer_target_ = kNoNode;
    return;
  }
  // Nothing is proposed meanwhile, so the log's end stays until the target has it.
  if (target->match == log_.last().index)
    send_timeout_now(target->id);
  else
    replicate(*target);
}

// Voters grant that election in spite of their promises.
void RaftNode::Impl::send_timeout_now(NodeId target) {
  told_to_campaign_ = true;
  send(make(MessageType::kTimeoutNow, target));
}

// The live voter that holds most of the log: the one whose election is the surest.
Progress* RaftNode::Impl::best_successor() {
  Progress* best = nullptr;
  for (Progress& peer : peers_) {
    if (!peer.voter || peer.reverted || !is_active(peer)) continue;
    if (best == nullptr || peer.match > best->match) best = &peer;
  }
  return best;
}

// A leader that cannot write goes on sending heartbeats in many systems, and nothing is ever
// committed (H8).  This one leaves.
void RaftNode::Impl::step_down_for_stalled_disk() {
  KVS_LOG(kWarn, "raft", "node {:x}: a log write takes longer than {} ticks, steps down",
          options_.id.value, options_.disk_stall_ticks);
  if (Progress* successor = best_successor()) send_timeout_now(successor->id);
  become_follower(term_, kNoNode);
}

}  // namespace kvstore::raft
