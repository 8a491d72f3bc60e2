// Proposals of this node that are in its log and not yet given to the apply thread.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "node/requests.hpp"
#include "raft/raft_log.hpp"

namespace kvstore::node {

// Ends those that are past their deadline, as not done, and takes them out.
void fail_expired(std::vector<ProposalPtr>* proposals, uint64_t now_ms);

class ProposalTable {
 public:
  ~ProposalTable();

  // `id` is above every id added before that is still in the log.
  void add(raft::LogId id, ProposalPtr proposal);

  // A committed entry is about to be applied: hands over its proposal if it is ours, and ends those
  // that another entry displaced (a definite no: a committed entry of another term has their
  // place).
  ProposalPtr take_committed(raft::LogId id);

  // A snapshot replaced everything up to `upto`: whether those were part of it is unknown.
  void fail_up_to(raft::Index upto);
  // Ends those past their deadline, as unknown.
  void expire(uint64_t now_ms);
  void fail_all(Code code, const char* message);

  size_t size() const { return pending_.size(); }

 private:
  struct Pending {
    raft::LogId id;
    ProposalPtr proposal;  // null once expired
  };
  std::deque<Pending> pending_;  // ascending index
  uint64_t next_expiry_ms_ = UINT64_MAX;
};

}  // namespace kvstore::node
