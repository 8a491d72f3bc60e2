#include "raft/raft_log.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace kvstore::raft {

RaftLog::RaftLog(LogId base, uint64_t cache_bytes)
    : base_(base), last_(base), cache_bytes_(cache_bytes) {}

void RaftLog::restore(const Entry& entry) {
  append(entry);
  if (entry.kind == EntryKind::kConfiguration) restored_configurations_.push_back(entry);
  trim_cache(last_.index);
}

size_t RaftLog::run_of(Index index) const {
  KVS_ASSERT(!runs_.empty() && index >= runs_.front().first && index <= last_.index);
  if (index >= runs_.back().first) return runs_.size() - 1;
  auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                [](Index wanted, const Run& run) { return wanted < run.first; });
  return static_cast<size_t>(after - runs_.begin()) - 1;
}

std::optional<Term> RaftLog::term_at(Index index) const {
  if (index == base_.index) return base_.term;
  if (index < base_.index || index > last_.index) return std::nullopt;
  return runs_[run_of(index)].term;
}

LogId RaftLog::last_at_or_below(Index upto, Term term) const {
  upto = std::min(upto, last_.index);
  if (upto <= base_.index) return base_;
  const size_t run = run_of(upto);
  if (runs_[run].term <= term) return {runs_[run].term, upto};
  auto newer = std::upper_bound(runs_.begin(), runs_.begin() + static_cast<ptrdiff_t>(run), term,
                                [](Term wanted, const Run& r) { return wanted < r.term; });
  if (newer == runs_.begin()) return base_;
  return {std::prev(newer)->term, newer->first - 1};
}

void RaftLog::append(Entry entry) {
  KVS_ASSERT(entry.id.index == last_.index + 1);
  KVS_ASSERT(entry.id.term >= last_.term && entry.id.term.value > 0);
  if (runs_.empty() || runs_.back().term != entry.id.term)
    runs_.push_back({entry.id.index, entry.id.term});
  last_ = entry.id;
  cached_bytes_ += entry_bytes(entry);
  cache_.push_back(std::move(entry));
}

void RaftLog::truncate_from(Index index) {
  KVS_ASSERT(index > base_.index && index <= last_.index + 1);
  while (!cache_.empty() && cache_.back().id.index >= index) {
    cached_bytes_ -= entry_bytes(cache_.back());
    cache_.pop_back();
  }
  while (!runs_.empty() && runs_.back().first >= index) runs_.pop_back();
  last_.index = index - 1;
  last_.term = runs_.empty() ? base_.term : runs_.back().term;
  std::erase_if(restored_configurations_, [index](const Entry& e) { return e.id.index >= index; });
}

void RaftLog::compact(Index index) {
  if (index <= base_.index) return;
  KVS_ASSERT(index <= last_.index);
  base_ = {*term_at(index), index};
  while (runs_.size() > 1 && runs_[1].first <= index + 1) runs_.pop_front();
  if (index == last_.index)
    runs_.clear();
  else
    runs_.front().first = index + 1;
  while (!cache_.empty() && cache_.front().id.index <= index) drop_oldest();
}

void RaftLog::reset(LogId base) {
  uint64_t bound = cache_bytes_;
  *this = RaftLog(base, bound);
}

std::vector<Entry> RaftLog::cached(Index first, Index last, uint64_t bytes_max) const {
  std::vector<Entry> result;
  last = std::min(last, last_.index);
  if (first < first_cached() || first > last) return result;
  size_t at = first - first_cached();
  const size_t end = at + (last - first) + 1;
  size_t stop = at;
  for (uint64_t bytes = 0; stop < end; ++stop) {
    bytes += entry_bytes(cache_[stop]);
    if (bytes > bytes_max && stop > at) break;
  }
  result.reserve(stop - at);
  for (; at < stop; ++at) result.push_back(cache_[at]);
  return result;
}

Index RaftLog::first_cached() const {
  return last_.index + 1 - cache_.size();
}

void RaftLog::trim_cache(Index index) {
  while (cached_bytes_ > cache_bytes_ && !cache_.empty() && cache_.front().id.index <= index)
    drop_oldest();
}

void RaftLog::drop_oldest() {
  cached_bytes_ -= entry_bytes(cache_.front());
  cache_.pop_front();
}

}  // namespace kvstore::raft
