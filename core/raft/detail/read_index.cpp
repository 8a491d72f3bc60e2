// Linearizable reads without a log entry: ReadIndex (§6.4), many reads to a round.
#include <algorithm>

#include "base/mutation.hpp"
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

void RaftNode::Impl::handle(ReadIndexRequest& event) {
  if (role_ == Role::kLeader) return enqueue_read({kNoNode, event.token, commit_});
  if (!leader_) {
    out_->reads.push_back({event.token, Code::kNotLeader, {}});
    return;
  }
  if (read_questions_.size() >= kPendingReadsMax) {
    out_->reads.push_back({event.token, Code::kBusy, {}});
    return;
  }
  read_questions_.push_back(
      {event.token, ticks_ + uint64_t{kReadQuestionTimeouts} * options_.election_ticks});
  Message question = make(MessageType::kReadIndex, leader_);
  question.token = event.token;
  send(std::move(question));
}

void RaftNode::Impl::enqueue_read(const PendingRead& read) {
  if (reads_.count >= kPendingReadsMax) return answer_read(read, Code::kBusy, {});
  ++reads_.count;
  reads_.waiting.push_back(read);
}

// Reads that came while a round was on its way share the next one: an echo that was sent before a
// read arrived proves nothing for it (C3).  Before this term's no-op is committed the commit index
// may be old, and reads wait (C2).
void RaftNode::Impl::start_read_round() {
  if (reads_.waiting.empty() || !(is_ready() || KVS_MUTATED(kReadBeforeNoop))) return;
  if (!KVS_MUTATED(kReadWithOldRound)) ++read_round_;
  for (PendingRead& read : reads_.waiting) {
    if (read.index < term_start_ && !KVS_MUTATED(kReadBeforeNoop)) read.index = commit_;
  }
  reads_.batches.push_back({read_round_, std::move(reads_.waiting)});
  reads_.waiting.clear();
}

void RaftNode::Impl::run_reads() {
  confirm_reads();
  while (!reads_.waiting.empty() && reads_.batches.empty() &&
         (is_ready() || KVS_MUTATED(kReadBeforeNoop))) {
    start_read_round();
    broadcast_heartbeats();
    confirm_reads();  // at once with a quorum of one
  }
}

void RaftNode::Impl::confirm_reads() {
  if (reads_.batches.empty()) return;
  const uint64_t round = confirmed_round();
  while (!reads_.batches.empty() && reads_.batches.front().round <= round) {
    const ReadQueue::Batch batch = std::move(reads_.batches.front());
    reads_.batches.pop_front();
    reads_.count -= batch.reads.size();
    for (const PendingRead& read : batch.reads) answer_read(read, Code::kOk, read.index);
  }
}

uint64_t RaftNode::Impl::confirmed_round() {
  if (KVS_MUTATED(kReadWithoutQuorum)) return read_round_;
  return quorum_value(read_round_, [](const Progress& peer) { return peer.round_acked; });
}

// Lets a follower know how old its state is at most, by its own clock: the leader was still leader
// when a confirmed round began, which was after it had received the follower's answer.
void RaftNode::Impl::note_freshness() {
  if (!is_ready()) return;
  if (fresh_round_ != 0) {
    if (confirmed_round() < fresh_round_) return;
    for (Progress& peer : peers_) {
      peer.token_told = peer.token_noted;
      peer.commit_told = fresh_commit_;
    }
  }
  fresh_round_ = read_round_;
  fresh_commit_ = commit_;
  for (Progress& peer : peers_) peer.token_noted = peer.token;
}

void RaftNode::Impl::answer_read(const PendingRead& read, Code code, Index index) {
  if (!read.from) {
    out_->reads.push_back({read.token, code, index});
    return;
  }
  Message reply = make(MessageType::kReadIndexReply, read.from);
  reply.token = read.token;
  reply.reject = code != Code::kOk;
  reply.commit = index;
  send(std::move(reply));
}

// Other nodes' questions need no answer: they end when their nodes hear of the new leader.
void RaftNode::Impl::fail_reads() {
  auto fail = [this](const PendingRead& read) {
    if (!read.from) out_->reads.push_back({read.token, Code::kNotLeader, {}});
  };
  for (const ReadQueue::Batch& batch : reads_.batches)
    std::for_each(batch.reads.begin(), batch.reads.end(), fail);
  std::for_each(reads_.waiting.begin(), reads_.waiting.end(), fail);
  reads_ = ReadQueue();
}

void RaftNode::Impl::handle_read_index(const Message& message) {
  const PendingRead read{message.from, message.token, commit_};
  if (role_ != Role::kLeader) return answer_read(read, Code::kNotLeader, {});
  enqueue_read(read);
}

void RaftNode::Impl::handle_read_index_reply(const Message& message) {
  auto asked = std::find_if(read_questions_.begin(), read_questions_.end(),
                            [&](const ReadQuestion& q) { return q.token == message.token; });
  if (asked == read_questions_.end()) return;  // answered before
  read_questions_.erase(asked);
  const Code code = message.reject ? Code::kNotLeader : Code::kOk;
  out_->reads.push_back({message.token, code, message.reject ? Index{} : message.commit});
}

void RaftNode::Impl::expire_read_questions() {
  while (!read_questions_.empty() && read_questions_.front().deadline_tick <= ticks_) {
    out_->reads.push_back({read_questions_.front().token, Code::kTimeout, {}});
    read_questions_.pop_front();
  }
}

}  // namespace kvstore::raft
