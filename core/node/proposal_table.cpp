#include "node/proposal_table.hpp"

#include <algorithm>

#include "base/mutation.hpp"

namespace kvstore::node {
namespace {
constexpr const char* kDisplaced = "leadership was lost before the write was committed";
}

void fail_expired(std::vector<ProposalPtr>* proposals, uint64_t now_ms) {
  std::erase_if(*proposals, [&](ProposalPtr& proposal) {
    if (proposal->deadline_ms > now_ms) return false;
    proposal->fail(Code::kTimeout, "the time of the request was over before it could be proposed",
                   Committed::kNo);
    return true;
  });
}

ProposalTable::~ProposalTable() {
  fail_all(Code::kCancelled, "the node stops");
}

void ProposalTable::add(raft::LogId id, ProposalPtr proposal) {
  // What is at or above this index was truncated from the log: another entry has its place now.
  while (!pending_.empty() && pending_.back().id.index >= id.index) {
    Pending lost = std::move(pending_.back());
    pending_.pop_back();
    if (lost.proposal) {
      lost.proposal->fail(Code::kIndeterminate,
                          "the outcome of the write is unknown: leadership changed",
                          Committed::kUnknown);
    }
  }
  next_expiry_ms_ = std::min(next_expiry_ms_, proposal->deadline_ms);
  pending_.push_back({id, std::move(proposal)});
}

ProposalPtr ProposalTable::take_committed(raft::LogId id) {
  while (!pending_.empty() && pending_.front().id.index <= id.index) {
    Pending p = std::move(pending_.front());
    pending_.pop_front();
    const bool at_index = KVS_MUTATED(kAckByIndexAlone) && p.id.index == id.index;
    if (p.id == id || at_index) return std::move(p.proposal);
    if (p.proposal) p.proposal->fail(Code::kNotLeader, kDisplaced, Committed::kNo);
  }
  return nullptr;
}

void ProposalTable::fail_up_to(raft::Index upto) {
  while (!pending_.empty() && pending_.front().id.index <= upto) {
    Pending p = std::move(pending_.front());
    pending_.pop_front();
    if (p.proposal) {
      p.proposal->fail(Code::kIndeterminate,
                       "the outcome of the write is unknown: a snapshot replaced the log",
                       Committed::kUnknown);
    }
  }
}

void ProposalTable::expire(uint64_t now_ms) {
  if (now_ms < next_expiry_ms_) return;
  next_expiry_ms_ = UINT64_MAX;
  for (Pending& p : pending_) {
    if (!p.proposal) continue;
    if (p.proposal->deadline_ms <= now_ms) {
      ProposalPtr expired = std::move(p.proposal);
      expired->fail(Code::kIndeterminate,
                    "the write was not committed in time; it may still take effect",
                    KVS_MUTATED(kUnknownSaidNotDone) ? Committed::kNo : Committed::kUnknown);
    } else {
      next_expiry_ms_ = std::min(next_expiry_ms_, p.proposal->deadline_ms);
    }
  }
}

void ProposalTable::fail_all(Code code, const char* message) {
  std::deque<Pending> all = std::exchange(pending_, {});
  for (Pending& p : all) {
    if (p.proposal) p.proposal->fail(code, message, Committed::kUnknown);
  }
}

}  // namespace kvstore::node
