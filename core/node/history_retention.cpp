#include "node/history_retention.hpp"

#include <algorithm>
#include <cmath>

namespace kvstore::node {
namespace {

// Few changes at a time keep an entry short; many are taken when the removal falls behind.
constexpr uint64_t kChangesUsually = 1'000;
constexpr uint64_t kBacklogRevisions = 10'000;
// A command for a few revisions alone waits so long for more.
constexpr uint64_t kPatienceMs = 10'000;

// `part` / `whole` of `n`, about, rounded up.
uint64_t share(uint64_t n, uint64_t part, uint64_t whole) {
  return static_cast<uint64_t>(
      std::ceil(static_cast<double>(n) * static_cast<double>(part) / static_cast<double>(whole)));
}

}  // namespace

void HistoryRetention::on_applied(const HistoryState& state) {
  state_ = state;
  mark(state.newest_time_ms);
  aged_out(state.newest_time_ms);
}

void HistoryRetention::reset(const HistoryState& state) {
  marks_.clear();
  aged_revision_ = 0;
  on_applied(state);
}

void HistoryRetention::mark(uint64_t time_ms) {
  const uint64_t step_ms = limits_.keep_ms / kMarks;
  if (marks_.empty() ||
      (marks_.back().revision < state_.revision && time_ms >= marks_.back().time_ms + step_ms))
    marks_.push_back({state_.revision, time_ms});
}

uint64_t HistoryRetention::aged_out(uint64_t now_ms) {
  while (!marks_.empty() && marks_.front().time_ms + limits_.keep_ms <= now_ms) {
    aged_revision_ = marks_.front().revision;
    marks_.pop_front();
  }
  return aged_revision_;
}

// The revision up to which about as many bytes lie as are too many, were all revisions alike; what
// is missing then is found the next time.
uint64_t HistoryRetention::excess() const {
  if (state_.history_bytes <= limits_.bytes_max) return 0;
  const uint64_t wanted = limits_.bytes_max - limits_.bytes_max / 8;
  const uint64_t stored = state_.revision + 1 - state_.oldest_change;
  return state_.oldest_change - 1 +
         share(stored, state_.history_bytes - wanted, state_.history_bytes);
}

std::optional<kv::Compact> HistoryRetention::due(uint64_t leader_time_ms) {
  const uint64_t now_ms = std::max(leader_time_ms, state_.newest_time_ms);
  mark(now_ms);
  const uint64_t aged = aged_out(now_ms);
  kv::Compact compact{state_.compacted_revision, kChangesUsually};
  if (state_.removal_pending()) {
    const uint64_t behind = state_.compacted_revision - state_.oldest_change;
    if (behind >= kBacklogRevisions || state_.history_bytes > limits_.bytes_max)
      compact.changes_max = kv::kCompactChangesMax;
    return compact;
  }
  const uint64_t beyond_count = state_.revision - std::min(state_.revision, limits_.keep_revisions);
  const uint64_t by_keeping = std::min(aged, beyond_count);
  const uint64_t by_bytes = std::min(excess(), state_.revision);
  const uint64_t target = std::max(by_keeping, by_bytes);
  if (target <= state_.compacted_revision) return std::nullopt;
  const bool worth_it = by_bytes > state_.compacted_revision ||
                        target - state_.compacted_revision > limits_.keep_revisions / 16;
  if (!worth_it && now_ms < last_ms_ + kPatienceMs) return std::nullopt;
  last_ms_ = now_ms;
  compact.revision = target;
  return compact;
}

}  // namespace kvstore::node
