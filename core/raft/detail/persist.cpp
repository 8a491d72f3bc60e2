// Log writes, and what has to wait until they are durable.
#include <algorithm>

#include "base/mutation.hpp"
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

namespace {

// Messages that wait for a term to become durable.  Beyond it they are dropped, as a network may.
constexpr size_t kDeferredMax = 1024;

}  // namespace

void RaftNode::Impl::append_own(EntryKind kind, SharedBytes data) {
  Entry entry;
  entry.id = {term_, log_.last().index + 1};
  entry.kind = kind;
  entry.crc = entry_crc(entry.id, kind, data.view());
  entry.data = std::move(data);
  append_entry(std::move(entry));
}

void RaftNode::Impl::append_entry(Entry entry) {
  KVS_ASSERT(entry.id.term <= term_);
  pending_.entries.push_back(entry);
  log_.append(std::move(entry));
}

void RaftNode::Impl::truncate_log(Index from) {
  KVS_ASSERT(from > commit_ && from > given_out_);
  KVS_ASSERT(pending_.entries.empty() && !pending_.truncate_from);
  KVS_LOG(kInfo, "raft", "node {:x}: drops its entries {}..{}, which are not the leader's",
          options_.id.value, from.value, log_.last().index.value);
  log_.truncate_from(from);
  writes_.truncate_from(from);
  pending_.truncate_from = from;
  while (configurations_.back().first >= from && !KVS_MUTATED(kConfigurationNotRolledBack)) {
    KVS_ASSERT(configurations_.size() > 1);
    configurations_.pop_back();
    out_->configuration_changed = true;
  }
}

void RaftNode::Impl::flush_write() {
  pending_.must_sync = hard_state_changed_ || pending_.truncate_from || !pending_.entries.empty();
  if (!pending_.must_sync && !commit_hint_due_) return;
  // Never beyond what is durable: an entry below the hint must not be one that a crash leaves
  // behind in place of its successor.
  commit_written_ = std::max(commit_written_, std::min(commit_, writes_.durable()));
  if (hard_state_changed_ || commit_hint_due_)
    pending_.hard_state =
        HardState{term_, KVS_MUTATED(kForgetVote) ? kNoNode : voted_for_, commit_written_};
  hard_state_changed_ = commit_hint_due_ = false;

  std::optional<Index> last;
  if (!pending_.entries.empty()) {
    last = pending_.entries.back().id.index;
    KVS_ASSERT(*last == log_.last().index);
  }
  pending_.sequence = writes_.next_sequence();
  writes_.add(last, ticks_);
  out_->log_writes.push_back(std::move(pending_));
  pending_ = LogWrite();
}

void RaftNode::Impl::handle(LogPersisted& event) {
  const Index before = writes_.durable();
  writes_.persisted(event.sequence);
  release_deferred();
  if (role_ == Role::kCandidate && !own_vote_counted_ &&
      writes_.persisted_sequence() >= hard_state_sequence_) {
    own_vote_counted_ = true;
    count_vote(options_.id, true);
  }
  if (writes_.durable() == before) return;
  if (role_ == Role::kLeader) maybe_commit();
  if (role_ == Role::kFollower) send_ack_if_durable();
}

void RaftNode::Impl::send_after(uint64_t sequence, Message message) {
  if (sequence <= writes_.persisted_sequence() || KVS_MUTATED(kSendBeforeDurable))
    out_->messages.push_back(std::move(message));
  else if (deferred_.size() < kDeferredMax)
    deferred_.push_back({sequence, std::move(message)});
}

void RaftNode::Impl::release_deferred() {
  while (!deferred_.empty() && deferred_.front().sequence <= writes_.persisted_sequence()) {
    // What was said in an earlier term is of no use to anybody.
    if (deferred_.front().message.term == term_)
      out_->messages.push_back(std::move(deferred_.front().message));
    deferred_.pop_front();
  }
}

}  // namespace kvstore::raft
