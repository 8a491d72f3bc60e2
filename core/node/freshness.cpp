#include "node/freshness.hpp"

#include <algorithm>

#include "base/mutation.hpp"

namespace kvstore::node {
namespace {

// Of a node that lags; beyond it the newest claim takes the place of the one before.
constexpr size_t kClaimsMax = 64;

}  // namespace

void Freshness::on_told(uint64_t token, raft::Index commit, uint64_t now_ms) {
  if (token < base_ || token - base_ > now_ms - start_ms_) return;
  on_known(KVS_MUTATED(kFreshFromReceipt) ? now_ms : start_ms_ + (token - base_), commit);
}

void Freshness::on_known(uint64_t at_ms, raft::Index commit) {
  if (commit <= applied_) {
    fresh_ms_ = std::max(fresh_ms_, at_ms);
    return;
  }
  if (at_ms <= fresh_ms_) return;
  // A claim that is told late says less than one that is there.
  if (!claims_.empty() && claims_.back().at_ms >= at_ms) return;
  const bool same = !claims_.empty() && claims_.back().commit >= commit;
  if (same || claims_.size() >= kClaimsMax) {
    claims_.back() = {at_ms, std::max(claims_.back().commit, commit)};
  } else {
    claims_.push_back({at_ms, commit});
  }
}

void Freshness::on_applied(raft::Index applied) {
  applied_ = std::max(applied_, applied);
  while (!claims_.empty() && claims_.front().commit <= applied_) {
    fresh_ms_ = std::max(fresh_ms_, claims_.front().at_ms);
    claims_.pop_front();
  }
}

}  // namespace kvstore::node
