// Commitment (§3.6.2).
#include <algorithm>
#include <functional>

#include "base/mutation.hpp"
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

uint64_t RaftNode::Impl::quorum_value(uint64_t own, uint64_t (*of_peer)(const Progress&)) {
  quorum_scratch_.clear();
  if (configuration().is_voter(options_.id)) quorum_scratch_.push_back(own);
  for (const Progress& peer : peers_) {
    if (peer.voter) quorum_scratch_.push_back(peer.reverted ? 0 : of_peer(peer));
  }
  const size_t enough = configuration().quorum();
  const size_t quorum = KVS_MUTATED(kQuorumTooSmall) && enough > 1 ? enough - 1 : enough;
  if (quorum_scratch_.size() < quorum) return 0;
  auto nth = quorum_scratch_.begin() + static_cast<ptrdiff_t>(quorum - 1);
  std::nth_element(quorum_scratch_.begin(), nth, quorum_scratch_.end(), std::greater<>());
  return *nth;
}

void RaftNode::Impl::maybe_commit() {
  const Index own = KVS_MUTATED(kCountOwnUnsynced) ? log_.last().index : writes_.durable();
  const Index index{quorum_value(own.value, [](const Progress& peer) { return peer.match.value; })};
  // §5.4.2, Figure 8: an entry of an earlier term is never committed by counting its copies.
  if (index <= commit_) return;
  if (log_.term_at(index) != term_ && !KVS_MUTATED(kCommitOldTerm)) return;
  advance_commit(index);
}

void RaftNode::Impl::advance_commit(Index index) {
  KVS_ASSERT(index >= commit_ && index <= log_.last().index);
  if (index == commit_) return;
  commit_ = index;
  matched_ = std::max(matched_, commit_);
  while (!uncommitted_.empty() && uncommitted_.front().first <= commit_) {
    uncommitted_bytes_ -= uncommitted_.front().second;
    uncommitted_.pop_front();
  }
}

}  // namespace kvstore::raft
