#include "node/compaction.hpp"

#include <algorithm>

namespace kvstore::node {

void CompactionPolicy::on_appended(raft::Index last, uint64_t bytes) {
  total_bytes_ += bytes;
  while (!marks_.empty() && marks_.back().index >= last) marks_.pop_back();  // truncated meanwhile
  if (marks_.empty() || total_bytes_ - marks_.back().bytes >= mark_bytes_) {
    marks_.push_back({last, total_bytes_});
  }
}

raft::Index CompactionPolicy::start_of_trailing_bytes(raft::Index first) const {
  for (auto it = marks_.rbegin(); it != marks_.rend(); ++it) {
    if (total_bytes_ - it->bytes > trailing_bytes_) return std::max(first, it->index);
  }
  return first;
}

void CompactionPolicy::follow(raft::NodeId peer, raft::Index match) {
  if (auto hold = holds_.find(peer); hold != holds_.end()) {
    hold->second.from = std::max(hold->second.from, match);
  }
}

raft::Index CompactionPolicy::upto(const raft::RaftLog& log, raft::Index durable,
                                   raft::Index slowest, uint64_t now_ms, bool keep_tail) {
  raft::Index base = log.base().index;
  raft::Index last = log.last().index;
  const uint64_t tail = keep_tail ? trailing_entries_ : 0;
  raft::Index by_entries = last.value > tail ? last - tail : raft::Index{0};
  raft::Index target = std::max(std::min(by_entries, slowest), start_of_trailing_bytes(base));
  target = std::min(target, durable);
  std::erase_if(holds_, [&](const auto& hold) { return hold.second.until_ms <= now_ms; });
  for (const auto& [peer, hold] : holds_) target = std::min(target, hold.from);
  while (!marks_.empty() && marks_.front().index < target) marks_.pop_front();
  return std::max(target, base);
}

}  // namespace kvstore::node
