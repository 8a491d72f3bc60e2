// Committed entries go to the state machine in order, each once, within a bound.
#include <algorithm>

#include "raft/detail/impl.hpp"

namespace kvstore::raft {

void RaftNode::Impl::handle(Applied& event) {
  if (event.index <= applied_) return;  // late: an installed snapshot covers it
  KVS_ASSERT(event.index <= given_out_ && given_out_ <= commit_);
  applied_ = event.index;
  while (!applying_.empty() && applying_.front().first <= applied_) {
    applying_bytes_ -= applying_.front().second;
    applying_.pop_front();
  }
}

void RaftNode::Impl::give_out_committed() {
  // A snapshot is replacing the state: what follows it is applied afterwards.
  if (installing_) return;
  while (given_out_ < commit_ && !apply_load_ && applying_bytes_ < options_.apply_bytes_max) {
    const Index first = given_out_ + 1;
    const uint64_t room = options_.apply_bytes_max - applying_bytes_;
    std::vector<Entry> entries = log_.cached(first, commit_, room);
    if (entries.empty()) {
      if (apply_load_failed_) return;  // the next tick asks again
      apply_load_ = first;
      out_->loads.push_back({kNoNode, first, std::min(commit_, log_.first_cached() - 1), room});
      return;
    }
    give_out(std::move(entries));
  }
}

void RaftNode::Impl::give_out(std::vector<Entry> entries) {
  KVS_ASSERT(entries.front().id.index == given_out_ + 1 && entries.back().id.index <= commit_);
  uint64_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry_bytes(entry);
  given_out_ = entries.back().id.index;
  applying_.emplace_back(given_out_, bytes);
  applying_bytes_ += bytes;
  if (out_->committed.empty()) {
    out_->committed = std::move(entries);
  } else {
    for (Entry& entry : entries) out_->committed.push_back(std::move(entry));
  }
}

// Whether these are the log's own entries from `first` on: an answer from before a truncation is
// not.
bool RaftNode::Impl::is_intact_range(const std::vector<Entry>& entries, Index first) const {
  if (entries.empty()) return false;
  for (const Entry& entry : entries) {
    if (entry.id.index != first || log_.term_at(first) != entry.id.term) return false;
    first = first + 1;
  }
  return true;
}

void RaftNode::Impl::take_loaded_for_apply(EntriesLoaded& event) {
  if (apply_load_ != event.first) return;  // a snapshot was installed meanwhile
  apply_load_.reset();
  if (event.code != Code::kOk || !is_intact_range(event.entries, event.first)) {
    KVS_LOG(kError, "raft", "node {:x}: cannot read committed entries from {} on: {}",
            options_.id.value, event.first.value, code_name(event.code));
    apply_load_failed_ = true;
    return;
  }
  if (installing_) return;  // asked again if the install fails
  while (event.entries.back().id.index > commit_) event.entries.pop_back();
  give_out(std::move(event.entries));
}

}  // namespace kvstore::raft
