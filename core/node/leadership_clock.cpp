#include "node/leadership_clock.hpp"

#include <algorithm>

#include "base/mutation.hpp"

namespace kvstore::node {
namespace {

// Rounds that no quorum echoed yet.  Beyond it new ones are not noted: an older one stands in for
// them, which only makes the lease shorter.
constexpr size_t kRoundsMax = 256;

}  // namespace

void LeadershipClock::look(const LeaderSight& sight, uint64_t now_ms) {
  if (!sight.leads || sight.term != term_) {
    rounds_.clear();
    confirmed_.reset();
    until_ms_ = 0;
    term_ = sight.term;
  }
  if (!sight.leads) return;
  const uint64_t newest = KVS_MUTATED(kLeaseFromReceipt) ? sight.lease.round : sight.read_round;
  if ((rounds_.empty() || rounds_.back().round < newest) && rounds_.size() < kRoundsMax)
    rounds_.push_back({newest, now_ms, sight.commit, sight.ready});
  until_ms_ = end_of(sight.lease);
  if (const Round* round = begun(sight.confirmed_round); round != nullptr && round->ready)
    confirmed_ = {round->begin_ms, round->commit};
  const uint64_t done =
      std::min(sight.lease.round == 0 ? UINT64_MAX : sight.lease.round, sight.confirmed_round);
  while (rounds_.size() > 1 && rounds_[1].round <= done) rounds_.pop_front();
}

// The newest that is noted at or before this one: it began no later.
const LeadershipClock::Round* LeadershipClock::begun(uint64_t round) const {
  auto after = std::upper_bound(rounds_.begin(), rounds_.end(), round,
                                [](uint64_t wanted, const Round& r) { return wanted < r.round; });
  return after == rounds_.begin() ? nullptr : &*std::prev(after);
}

uint64_t LeadershipClock::end_of(const raft::LeaderLease& lease) const {
  if (lease.round == 0) return 0;
  if (lease.promise_ms == UINT64_MAX) return UINT64_MAX;
  const Round* round = begun(lease.round);
  return round == nullptr ? 0 : round->begin_ms + lease.promise_ms * (100 - drift_percent_) / 100;
}

}  // namespace kvstore::node
