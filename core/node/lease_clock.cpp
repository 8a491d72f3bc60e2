#include "node/lease_clock.hpp"

#include <algorithm>
#include <utility>

#include "base/mutation.hpp"
#include "kv/lease_records.hpp"

namespace kvstore::node {
namespace {

// Looks at leases that are gone or have another end are dropped when there are more than about one
// for each lease.
constexpr size_t kLooksSlack = 1024;

}  // namespace

void LeaseClock::advance(uint64_t now_ms) {
  if (now_ms > last_now_ms_ && last_now_ms_ != 0)
    clock_ms_ += std::min(now_ms - last_now_ms_, kStepMaxMs);
  last_now_ms_ = std::max(last_now_ms_, now_ms);
}

void LeaseClock::apply(const kv::LeaseChanges& changes) {
  std::map<uint64_t, Entry> before;
  if (changes.reset) {
    before = std::exchange(leases_, {});
    own_count_ = 0;
    looks_.clear();
  }
  for (const kv::LeaseChange& change : changes.changes) {
    if (auto it = before.find(change.id); it != before.end()) {
      leases_.insert(before.extract(it));
      own_count_ += kv::is_own_lease(change.id) ? 1 : 0;
    }
    apply(change);
  }
}

void LeaseClock::apply(const kv::LeaseChange& change) {
  const size_t own = kv::is_own_lease(change.id) ? 1 : 0;
  if (change.ttl_ms == 0) {
    const auto gone = leases_.find(change.id);
    if (gone == leases_.end()) return;
    own_count_ -= own;
    ended_ += gone->second.overdue ? 1 : 0;
    leases_.erase(gone);
    return;
  }
  const auto [it, is_new] = leases_.try_emplace(change.id);
  if (is_new) own_count_ += own;
  Entry& entry = it->second;
  if (entry.generation != change.generation)
    entry = {change.ttl_ms, change.generation, full_time(change.ttl_ms)};
  if (change.ending) {
    // The next piece is due.
    entry.ending = true;
    entry.proposed = false;
    entry.deadline_ms = clock_ms_;
  }
  look_at(change.id, entry);
}

void LeaseClock::begin_leading() {
  for (auto& [id, entry] : leases_) {
    entry.proposed = false;
    if (entry.ending || KVS_MUTATED(kLeaseClockGoesOn)) continue;
    entry.overdue = false;
    entry.deadline_ms = full_time(entry.ttl_ms);
  }
  look_at_all();
}

std::vector<kv::LeaseRef> LeaseClock::take_due(size_t max) {
  std::vector<kv::LeaseRef> due;
  while (due.size() < max && !looks_.empty() && looks_.front().at_ms <= clock_ms_) {
    std::pop_heap(looks_.begin(), looks_.end());
    const uint64_t id = looks_.back().id;
    looks_.pop_back();
    auto it = leases_.find(id);
    if (it == leases_.end() || it->second.proposed || it->second.holds != 0) continue;
    Entry& entry = it->second;
    if (entry.deadline_ms > clock_ms_) {
      look_at(id, entry);
      continue;
    }
    entry.proposed = true;
    entry.overdue = entry.overdue || !entry.ending;
    due.push_back({id, entry.generation});
  }
  return due;
}

void LeaseClock::end_not_proposed(const std::vector<kv::LeaseRef>& leases) {
  for (const kv::LeaseRef& lease : leases) {
    auto it = leases_.find(lease.id);
    if (it == leases_.end() || it->second.generation != lease.generation) continue;
    it->second.proposed = false;
    if (!it->second.ending) it->second.overdue = false;
    look_at(lease.id, it->second);
  }
}

void LeaseClock::hold(uint64_t id) {
  if (auto it = leases_.find(id); it != leases_.end()) ++it->second.holds;
}

void LeaseClock::release(uint64_t id) {
  auto it = leases_.find(id);
  // Another lease may have the id by now.
  if (it == leases_.end() || it->second.holds == 0) return;
  if (--it->second.holds == 0) look_at(id, it->second);
}

bool LeaseClock::renew(uint64_t id) {
  auto it = leases_.find(id);
  if (it == leases_.end() || it->second.ending) return false;
  if (it->second.proposed && !KVS_MUTATED(kKeepAliveAfterEnd)) return false;
  it->second.deadline_ms = full_time(it->second.ttl_ms);
  return true;
}

LeaseClock::Lease LeaseClock::describe(uint64_t id, const Entry& entry) const {
  Lease lease{id, entry.ttl_ms, 0, entry.ending || entry.proposed};
  if (!lease.ends)
    lease.remaining_ms =
        std::min(entry.deadline_ms - std::min(entry.deadline_ms, clock_ms_), entry.ttl_ms);
  return lease;
}

std::optional<LeaseClock::Lease> LeaseClock::find(uint64_t id) const {
  auto it = leases_.find(id);
  if (it == leases_.end()) return std::nullopt;
  return describe(id, it->second);
}

std::vector<LeaseClock::Lease> LeaseClock::list(uint64_t after, size_t limit) const {
  std::vector<Lease> out;
  for (auto it = leases_.upper_bound(after); it != leases_.end() && out.size() < limit; ++it) {
    if (kv::is_own_lease(it->first)) break;  // above all that are granted
    out.push_back(describe(it->first, it->second));
  }
  return out;
}

void LeaseClock::look_at(uint64_t id, const Entry& entry) {
  if (looks_.size() > 2 * leases_.size() + kLooksSlack) {
    look_at_all();
    return;
  }
  looks_.push_back({entry.deadline_ms, id});
  std::push_heap(looks_.begin(), looks_.end());
}

void LeaseClock::look_at_all() {
  looks_.clear();
  for (const auto& [id, entry] : leases_) looks_.push_back({entry.deadline_ms, id});
  std::make_heap(looks_.begin(), looks_.end());
}

}  // namespace kvstore::node
