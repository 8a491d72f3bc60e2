#include "raft/detail/write_tracker.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace kvstore::raft {

void WriteTracker::add(std::optional<Index> last, uint64_t now) {
  in_flight_.push_back({next_sequence_++, last.value_or(Index{}), now});
}

void WriteTracker::truncate_from(Index index) {
  KVS_ASSERT(index.value > 0);
  durable_ = std::min(durable_, index - 1);
  for (InFlight& write : in_flight_) write.last = std::min(write.last, index - 1);
}

void WriteTracker::reset(Index base) {
  durable_ = base;
  for (InFlight& write : in_flight_) write.last = {};
}

void WriteTracker::persisted(uint64_t sequence) {
  KVS_ASSERT(sequence < next_sequence_);
  persisted_ = std::max(persisted_, sequence);
  while (!in_flight_.empty() && in_flight_.front().sequence <= sequence) {
    durable_ = std::max(durable_, in_flight_.front().last);
    in_flight_.pop_front();
  }
}

}  // namespace kvstore::raft
