// Terms, votes and roles.
#include "base/mutation.hpp"
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

void RaftNode::Impl::set_term(Term term) {
  KVS_ASSERT(term > term_);
  term_ = term;
  voted_for_ = kNoNode;
  term_leader_ = kNoNode;
  hard_state_changed_ = !KVS_MUTATED(kForgetTerm);
  if (hard_state_changed_) hard_state_sequence_ = writes_.next_sequence();
  // Leader Completeness: whoever leads this term holds everything that is committed.
  if (!KVS_MUTATED(kKeepMatchedOverTerms)) matched_ = commit_;
  acked_ = ack_wanted_ = {};
  round_seen_ = round_echoed_ = 0;
  reverted_ = false;
}

void RaftNode::Impl::set_vote(NodeId candidate) {
  if (voted_for_ == candidate) return;
  KVS_ASSERT(!voted_for_ || KVS_MUTATED(kVoteTwice));  // at most one vote in a term
  voted_for_ = candidate;
  hard_state_changed_ = true;
  hard_state_sequence_ = writes_.next_sequence();
}

void RaftNode::Impl::set_leader(NodeId leader) {
  if (leader_ == leader) return;
  leader_ = leader;
  if (leader) {
    KVS_ASSERT(!term_leader_ || term_leader_ == leader);
    term_leader_ = leader;
  }
  for (const ReadQuestion& question : read_questions_)
    out_->reads.push_back({question.token, Code::kNotLeader, {}});
  read_questions_.clear();
}

void RaftNode::Impl::become_follower(Term term, NodeId leader) {
  if (role_ == Role::kLeader) leave_leadership();
  if (term > term_) set_term(term);
  role_ = Role::kFollower;
  votes_.clear();
  set_leader(leader);
  reset_election_timer();
  KVS_LOG(kInfo, "raft", "node {:x}: follower in term {}, leader {:x}", options_.id.value,
          term_.value, leader.value);
}

void RaftNode::Impl::become_pre_candidate() {
  KVS_ASSERT(role_ != Role::kLeader);
  role_ = Role::kPreCandidate;
  votes_.clear();
  set_leader(kNoNode);
  reset_election_timer();
  KVS_LOG(kInfo, "raft", "node {:x}: asks whether it may campaign in term {}", options_.id.value,
          term_.value + 1);
}

void RaftNode::Impl::become_candidate() {
  KVS_ASSERT(role_ != Role::kLeader);
  role_ = Role::kCandidate;
  votes_.clear();
  own_vote_counted_ = false;
  set_leader(kNoNode);
  set_term(term_ + 1);
  set_vote(options_.id);
  reset_election_timer();
  KVS_LOG(kInfo, "raft", "node {:x}: candidate in term {}", options_.id.value, term_.value);
}

void RaftNode::Impl::become_leader() {
  KVS_ASSERT(role_ == Role::kCandidate && voted_for_ == options_.id);
  role_ = Role::kLeader;
  votes_.clear();
  set_leader(options_.id);
  heartbeat_elapsed_ = 0;
  read_round_ = 0;
  told_to_campaign_ = false;
  fresh_round_ = 0;
  // §8: an entry of the own term finds out what is committed, and lets reads and membership begin.
  term_start_ = log_.last().index + 1;
  peers_.clear();
  rebuild_peers();
  KVS_LOG(kInfo, "raft", "node {:x}: leader in term {}", options_.id.value, term_.value);
  append_own(EntryKind::kNoop, {});
  broadcast_appends();
}

void RaftNode::Impl::leave_leadership() {
  fail_reads();
  peers_.clear();
  transfer_target_ = kNoNode;
  uncommitted_.clear();
  uncommitted_bytes_ = 0;
}

void RaftNode::Impl::reset_election_timer() {
  election_elapsed_ = 0;
  election_timeout_ = options_.election_ticks + random_.below(options_.election_ticks);
}

bool RaftNode::Impl::may_campaign() const {
  return is_electable() && !installing_ && !disk_stalled();
}

// A voter of the newest configuration; and, while that is not known to be committed, of the one
// before (§4.2.2): it may hold the only copy of the entry that removes it, and without its
// candidacy nobody could be elected.  It does not count its own vote.
bool RaftNode::Impl::is_electable() const {
  if (configuration().is_voter(options_.id)) return true;
  return change_pending() && configurations_.size() > 1 &&
         configurations_[configurations_.size() - 2].second.is_voter(options_.id);
}

bool RaftNode::Impl::is_sole_voter() const {
  return configuration().is_voter(options_.id) && configuration().voter_count() == 1;
}

}  // namespace kvstore::raft
