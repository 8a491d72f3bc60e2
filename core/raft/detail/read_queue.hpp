// Reads that wait for a confirmation of leadership (§6.4).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "raft/types.hpp"

namespace kvstore::raft {

struct PendingRead {
  NodeId from;  // kNoNode: asked on this node
  uint64_t token = 0;
  Index index;  // commit index when it arrived
};

// `waiting` reads belong to no round yet; each batch waits for a quorum to echo its round or a
// later one.  Rounds grow from batch to batch.
struct ReadQueue {
  struct Batch {
    uint64_t round = 0;
    std::vector<PendingRead> reads;
  };

  std::vector<PendingRead> waiting;
  std::deque<Batch> batches;
  size_t count = 0;  // in waiting and batches together
};

}  // namespace kvstore::raft
