#include "kv/watch_index.hpp"

#include <algorithm>

namespace kvstore::kv {

void WatchIndex::add(const Range& range, Watcher* watcher) {
  if (range.kind == Range::Kind::kKey) {
    keys_[range.key].push_back(watcher);
    return;
  }
  KeyInterval interval(range);
  if (interval.empty()) return;
  Watchers& watchers = ranges_[{std::move(interval.lower), std::move(interval.upper)}];
  stale_ = stale_ || watchers.empty();
  watchers.push_back(watcher);
}

void WatchIndex::remove(const Range& range, Watcher* watcher) {
  const auto take_out = [watcher](Watchers* watchers) {
    std::erase(*watchers, watcher);
    return watchers->empty();
  };
  if (range.kind == Range::Kind::kKey) {
    const auto at = keys_.find(range.key);
    if (at != keys_.end() && take_out(&at->second)) keys_.erase(at);
    return;
  }
  KeyInterval interval(range);
  const auto at = ranges_.find({std::move(interval.lower), std::move(interval.upper)});
  if (at == ranges_.end() || !take_out(&at->second)) return;
  ranges_.erase(at);
  stale_ = true;
}

void WatchIndex::match(Bytes key, FunctionRef<void(Watcher*)> visit) {
  if (const auto at = keys_.find(key); at != keys_.end()) {
    for (Watcher* watcher : at->second) visit(watcher);
  }
  if (stale_) rebuild();
  stab(0, nodes_.size(), key, visit);
}

void WatchIndex::rebuild() {
  nodes_.clear();
  nodes_.reserve(ranges_.size());
  for (const auto& [bounds, watchers] : ranges_) {
    nodes_.push_back({bounds.first, bounds.second, bounds.second, &watchers});
  }
  fill_highest(0, nodes_.size());
  stale_ = false;
}

// Precondition: begin < end, or there is no node at all.
Bytes WatchIndex::fill_highest(size_t begin, size_t end) {
  if (begin == end) return {};
  const size_t middle = begin + (end - begin) / 2;
  Node& node = nodes_[middle];
  const auto raise = [&node](Bytes other) {
    if (other.empty() || (!node.highest.empty() && other > node.highest)) node.highest = other;
  };
  if (begin < middle) raise(fill_highest(begin, middle));
  if (middle + 1 < end) raise(fill_highest(middle + 1, end));
  return node.highest;
}

void WatchIndex::stab(size_t begin, size_t end, Bytes key,
                      FunctionRef<void(Watcher*)> visit) const {
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    const Node& node = nodes_[middle];
    if (!node.highest.empty() && key >= node.highest) return;
    stab(begin, middle, key, visit);
    if (key < node.lower) return;
    if (node.upper.empty() || key < node.upper) {
      for (Watcher* watcher : *node.watchers) visit(watcher);
    }
    begin = middle + 1;
  }
}

}  // namespace kvstore::kv
