// Proposals of clients become entries.
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

Code RaftNode::Impl::proposal_verdict(uint64_t bytes) const {
  if (role_ != Role::kLeader) return Code::kNotLeader;
  if (transfer_target_) return Code::kBusy;
  // One entry is always let in, whatever its size, or it would never fit.
  if (uncommitted_bytes_ > 0 && uncommitted_bytes_ + bytes > options_.uncommitted_bytes_max)
    return Code::kBusy;
  return Code::kOk;
}

void RaftNode::Impl::handle(Propose& event) {
  uint64_t batch_bytes = 0;
  pending_.entries.reserve(event.proposals.size());
  for (Proposal& proposal : event.proposals) {
    const uint64_t bytes = proposal.data.size() + entry_bytes(Entry{});
    ProposeResult result{proposal.token, proposal_verdict(bytes), {}};
    if (result.code == Code::kOk) {
      append_own(EntryKind::kCommand, std::move(proposal.data));
      result.id = log_.last();
      uncommitted_bytes_ += bytes;
      batch_bytes += bytes;
    }
    out_->proposals.push_back(result);
  }
  if (batch_bytes == 0) return;
  uncommitted_.emplace_back(log_.last().index, batch_bytes);
  broadcast_appends();
}

}  // namespace kvstore::raft
