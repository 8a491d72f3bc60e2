#include "raft/detail/progress.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace kvstore::raft {

void Inflight::add(Index last, uint64_t bytes) {
  KVS_ASSERT(appends_.empty() || appends_.back().last < last);
  appends_.push_back({last, bytes});
  bytes_ += bytes;
}

bool Inflight::free_to(Index match) {
  bool freed = false;
  while (!appends_.empty() && appends_.front().last <= match) {
    bytes_ -= appends_.front().bytes;
    appends_.pop_front();
    freed = true;
  }
  return freed;
}

void Inflight::clear() {
  appends_.clear();
  bytes_ = 0;
}

void Progress::become_probe() {
  state = State::kProbe;
  next = match + 1;
  paused = false;
  probe_ticks = 0;
  ack_ticks = 0;
  load_pending = false;
  inflight.clear();
}

void Progress::become_replicate() {
  become_probe();
  state = State::kReplicate;
}

void Progress::become_snapshot() {
  become_probe();
  state = State::kSnapshot;
}

}  // namespace kvstore::raft
