// Elections: PreVote (§9.6), RequestVote (§3.4), the election restriction (§3.6.1), stickiness
// (§4.2.3).
#include <algorithm>

#include "base/mutation.hpp"
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

void RaftNode::Impl::handle(Campaign&) {
  campaign();
}

void RaftNode::Impl::campaign() {
  if (role_ == Role::kLeader || !may_campaign()) return;
  // A single voter needs nobody's opinion.
  if (is_sole_voter()) return start_election(false);
  become_pre_candidate();
  count_vote(options_.id, true);
  ask_for_votes(MessageType::kPreVote, term_ + 1, false);
}

void RaftNode::Impl::start_election(bool forced) {
  become_candidate();
  // The own vote is counted when it is durable (handle LogPersisted), and the requests leave then:
  // a request also claims the own log to be as long as it says.
  ask_for_votes(MessageType::kVote, term_, forced);
}

void RaftNode::Impl::ask_for_votes(MessageType type, Term term, bool forced) {
  for (const Member& member : configuration().members) {
    if (!member.voter || member.id == options_.id) continue;
    Message request = make(type, member.id);
    request.term = term;
    request.log = log_.last();
    request.forced = forced;
    send(std::move(request));
  }
}

void RaftNode::Impl::count_vote(NodeId from, bool granted) {
  if (!configuration().is_voter(from)) return;
  auto voted = [from](const auto& vote) { return vote.first == from; };
  if (std::any_of(votes_.begin(), votes_.end(), voted)) return;
  votes_.emplace_back(from, granted);
  const auto grants = static_cast<size_t>(
      std::count_if(votes_.begin(), votes_.end(), [](const auto& vote) { return vote.second; }));
  const size_t quorum = configuration().quorum();
  if (grants >= quorum)
    return role_ == Role::kPreCandidate ? start_election(false) : become_leader();
  if (votes_.size() - grants >= quorum) become_follower(term_, kNoNode);
}

bool RaftNode::Impl::sticks_to_leader(const Message& message) const {
  if (message.forced) return false;         // the leader itself asked for this election (§4.2.3)
  if (role_ == Role::kLeader) return true;  // CheckQuorum: it has a quorum's contact
  return leader_ && election_elapsed_ < options_.election_ticks;
}

// A promise outlives what this node knows of its leader: a late answer of a node in a higher term
// makes it forget the leader, but not what the leader relies on.
bool RaftNode::Impl::is_promised(const Message& message) const {
  if (options_.vote_promise_ms == 0 || message.forced) return false;
  return role_ == Role::kFollower && ticks_ < promised_until_tick_;
}

// Anybody answers, also a learner or a node that does not know the configuration it is in: the
// candidate may know better (§4.1).
void RaftNode::Impl::handle_vote_request(const Message& message) {
  const bool pre = message.type == MessageType::kPreVote;
  const bool free =
      voted_for_ == message.from || (!voted_for_ && !term_leader_) || (pre && message.term > term_);
  bool current = message.log >= log_.last();
  if (KVS_MUTATED(kCompareIndexOnly)) current = message.log.index >= log_.last().index;
  const bool granted =
      (free || KVS_MUTATED(kVoteTwice)) && (current || KVS_MUTATED(kIgnoreOlderLog));
  Message reply = make(pre ? MessageType::kPreVoteReply : MessageType::kVoteReply, message.from);
  reply.reject = !granted;
  if (granted && pre) reply.term = message.term;
  if (granted && !pre) {
    set_vote(message.from);
    election_elapsed_ = 0;
  }
  send(std::move(reply));  // a vote waits in there until it is durable
}

void RaftNode::Impl::handle_vote_reply(const Message& message) {
  const bool pre = message.type == MessageType::kPreVoteReply;
  if (role_ != (pre ? Role::kPreCandidate : Role::kCandidate)) return;
  // A grant of a pre-vote names the term that was asked for; it may come from an earlier attempt.
  if (pre && !message.reject && message.term != term_ + 1) return;
  count_vote(message.from, !message.reject);
}

void RaftNode::Impl::handle_timeout_now(const Message& message) {
  if (role_ == Role::kLeader || !may_campaign()) return;
  KVS_LOG(kInfo, "raft", "node {:x}: {:x} hands leadership over", options_.id.value,
          message.from.value);
  start_election(true);
}

}  // namespace kvstore::raft
