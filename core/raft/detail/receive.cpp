// Messages: the rules for terms that hold for all of them (Figure 2, Rules for Servers), and
// dispatch.
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

namespace {

bool is_vote_request(const Message& m) {
  return m.type == MessageType::kPreVote || m.type == MessageType::kVote;
}

}  // namespace

Message RaftNode::Impl::make(MessageType type, NodeId to) const {
  Message message;
  message.type = type;
  message.from = options_.id;
  message.to = to;
  message.term = term_;
  return message;
}

void RaftNode::Impl::handle(MessageReceived& event) {
  Message& message = event.message;
  if (const char* flaw = flaw_of(message)) {
    KVS_LOG(kError, "raft", "node {:x}: ignored a message of type {} in term {} from {:x}: {}",
            options_.id.value, static_cast<int>(message.type), message.term.value,
            message.from.value, flaw);
    return;
  }
  if (message.term < term_) return handle_lower_term(message);
  if (is_vote_request(message) && is_promised(message)) return;
  if (message.term > term_ && !handle_higher_term(message)) return;
  dispatch(message);
}

// An answer with the own, higher term lets a deposed leader step down and a late candidate catch
// up. With PreVote and CheckQuorum this is also what frees a node whose term ran ahead: its vote
// requests are ignored by the followers of a live leader, but the leader hears of its term.
void RaftNode::Impl::handle_lower_term(const Message& message) {
  Message reply = make(MessageType::kHeartbeatReply, message.from);
  switch (message.type) {
    case MessageType::kHeartbeat:
      break;
    case MessageType::kAppend:
      reply.type = MessageType::kAppendReply;
      break;
    case MessageType::kPreVote:
      reply.type = MessageType::kPreVoteReply;
      break;
    case MessageType::kVote:
      reply.type = MessageType::kVoteReply;
      break;
    case MessageType::kReadIndex:
      reply.type = MessageType::kReadIndexReply;
      reply.token = message.token;
      break;
    default:
      return;  // a late reply
  }
  reply.reject = true;
  send(std::move(reply));
}

bool RaftNode::Impl::handle_higher_term(const Message& message) {
  if (is_vote_request(message) && sticks_to_leader(message)) {
    KVS_LOG(kDebug, "raft", "node {:x}: ignored the candidate {:x} in term {}: leader {:x} lives",
            options_.id.value, message.from.value, message.term.value, leader_.value);
    return false;
  }
  // A pre-vote is about a term that nobody is in yet, and so is its grant (§9.6).
  if (message.type == MessageType::kPreVote) return true;
  if (message.type == MessageType::kPreVoteReply && !message.reject) return true;
  become_follower(message.term, kNoNode);
  return true;
}

void RaftNode::Impl::dispatch(Message& message) {
  switch (message.type) {
    case MessageType::kPreVote:
    case MessageType::kVote:
      return handle_vote_request(message);
    case MessageType::kPreVoteReply:
    case MessageType::kVoteReply:
      return handle_vote_reply(message);
    case MessageType::kAppend:
      follow(message.from);
      return handle_append(message);
    case MessageType::kHeartbeat:
      follow(message.from);
      return handle_heartbeat(message);
    case MessageType::kAppendReply:
      return handle_append_reply(message);
    case MessageType::kHeartbeatReply:
      return handle_heartbeat_reply(message);
    case MessageType::kReadIndex:
      return handle_read_index(message);
    case MessageType::kReadIndexReply:
      return handle_read_index_reply(message);
    case MessageType::kTimeoutNow:
      return handle_timeout_now(message);
  }
}

void RaftNode::Impl::follow(NodeId from) {
  if (term_leader_ && term_leader_ != from) {
    // Election Safety is broken, by a bug or a forged identity: whatever is done next may destroy
    // acknowledged data, so this node does nothing more.
    KVS_LOG(kError, "raft", "node {:x}: two leaders in term {}: {:x} and {:x}; stopping",
            options_.id.value, term_.value, term_leader_.value, from.value);
    KVS_ASSERT(!"two leaders in one term");
  }
  if (role_ != Role::kFollower || leader_ != from) become_follower(term_, from);
  election_elapsed_ = 0;
  promised_until_tick_ = ticks_ + options_.election_ticks;
}

void RaftNode::Impl::send(Message message) {
  if (message.type == MessageType::kAppendReply || message.type == MessageType::kHeartbeatReply) {
    message.space_low = space_low_;
    message.promise_ms = options_.vote_promise_ms;
  }
  // A term that this node may forget in a crash is told to nobody.
  if (message.term == term_) return send_after(hard_state_sequence_, std::move(message));
  out_->messages.push_back(std::move(message));
}

}  // namespace kvstore::raft
