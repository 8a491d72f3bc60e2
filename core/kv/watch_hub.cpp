#include "kv/watch_hub.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/mutation.hpp"

namespace kvstore::kv {

struct Watcher {
  enum class State : uint8_t {
    kBehind,  // reads the history by itself from `next` on
    kLive,    // is given what is new from `next` on
    kEnded,
  };
  WatchOptions options;
  WatchListener* listener = nullptr;
  State state = State::kBehind;
  ChangePosition next;
  uint64_t credit = 0;
  uint64_t lag_bytes = 0;  // missed for want of credit, and not delivered yet
  uint64_t reported = 0;   // the listener knows that everything up to here was delivered
  size_t place = 0;        // in the hub's list
  bool follows = false;    // has been live
  bool queued = false;     // is in the queue of those that have something to read

  std::vector<ChangeView> batch;  // collected in the step under way
  size_t revision_start = 0;      // where its newest revision begins
  bool touched = false;
};

namespace {

// What a change takes beside its keys and values.
constexpr uint64_t kChangeOverhead = 64;
constexpr size_t kBatchKept = 64;

uint64_t bytes_of(const ChangeView& change) {
  uint64_t bytes = kChangeOverhead + change.now.key.size() + change.now.value.size();
  if (change.prev != nullptr) bytes += change.prev->key.size() + change.prev->value.size();
  return bytes;
}

Status compacted_status(uint64_t revision, uint64_t compacted) {
  return {Code::kCompacted, fmt::format("the changes of revision {} are compacted: the oldest are "
                                        "those of revision {}",
                                        revision, compacted + 1)};
}

}  // namespace

ChangeView WatchHub::Texts::keep(const ChangeView& change) {
  ChangeView kept = change;
  kept.now.key = keep(change.now.key);
  kept.now.value = keep(change.now.value);
  if (change.prev != nullptr) {
    ItemView& prev = items.emplace_back(*change.prev);
    prev.key = kept.now.key;
    prev.value = keep(change.prev->value);
    kept.prev = &prev;
  }
  return kept;
}

void WatchHub::Texts::clear() {
  strings.clear();
  items.clear();
}

WatchHub::WatchHub(Store* store, const WatchLimits& limits) : store_(store), limits_(limits) {}

WatchHub::~WatchHub() = default;

Watcher* WatchHub::open(const WatchOptions& options, WatchListener* listener) {
  auto owned = std::make_unique<Watcher>();
  Watcher* watcher = owned.get();
  watcher->options = options;
  watcher->listener = listener;
  watcher->next = {options.from_revision, 0};
  watcher->credit = options.credit;
  watcher->place = watchers_.size();
  watchers_.push_back(std::move(owned));
  index_.add(options.range, watcher);
  // Also without credit: whether it is behind at all shows with the first look.
  watcher->queued = true;
  behind_.push_back(watcher);
  return watcher;
}

void WatchHub::credit(Watcher* watcher, uint64_t batches) {
  watcher->credit += batches;
  enqueue(watcher);
}

void WatchHub::enqueue(Watcher* watcher) {
  const bool wants = watcher->state == Watcher::State::kBehind && watcher->credit > 0;
  if (!wants || watcher->queued) return;
  watcher->queued = true;
  behind_.push_back(watcher);
}

void WatchHub::close(Watcher* watcher) {
  if (watcher->state != Watcher::State::kEnded) {
    index_.remove(watcher->options.range, watcher);
    if (watcher->follows) --followers_;
  }
  if (watcher->queued) std::erase(behind_, watcher);
  const size_t place = watcher->place;
  std::swap(watchers_[place], watchers_.back());
  watchers_[place]->place = place;
  watchers_.pop_back();
}

void WatchHub::end(Watcher* watcher, const Status& why, uint64_t revision) {
  if (watcher->state == Watcher::State::kEnded) return;
  index_.remove(watcher->options.range, watcher);
  if (watcher->follows) --followers_;
  watcher->state = Watcher::State::kEnded;
  watcher->listener->on_end(why, revision);
}

void WatchHub::end_all(const Status& why) {
  for (const auto& watcher : watchers_) end(watcher.get(), why, delivered_up_to(*watcher));
}

uint64_t WatchHub::delivered_up_to(const Watcher& watcher) const {
  const uint64_t next = watcher.next.revision;
  return (watcher.state == Watcher::State::kLive ? std::max(live_, next) : next) - 1;
}

void WatchHub::report_progress() {
  for (const auto& watcher : watchers_) {
    if (!watcher->options.with_progress || watcher->state == Watcher::State::kEnded) continue;
    const uint64_t revision = delivered_up_to(*watcher);
    if (revision <= watcher->reported) continue;
    watcher->reported = revision;
    watcher->listener->on_progress(revision);
  }
}

Result<bool> WatchHub::step(uint64_t revision) {
  if (followers_ == 0) {
    live_ = std::max(live_, revision + 1);
  } else if (live_ <= revision) {
    if (Status s = run_live(); !s) return s;
  }
  if (!behind_.empty()) {
    Watcher* const watcher = behind_.front();
    if (Status s = run_behind(watcher); !s) return s;
  }
  return !behind_.empty() || (followers_ > 0 && live_ <= revision);
}

// ---- what is new

// A pass ends between two revisions, so that a watcher has all of one or nothing of it.
Status WatchHub::run_live() {
  auto view = store_->open_view();
  if (!view) return view.status();
  auto revisions = read_revisions(**view);
  if (!revisions) return revisions.status();
  if (live_ <= revisions->compacted) cut_compacted(revisions->compacted);
  ScanOptions scan;
  scan.space = kSpaceChanges;
  scan.lower = change_key({live_, 0});
  scan.upper = change_key({revisions->current + (KVS_MUTATED(kWatchSkipsLast) ? 0 : 1), 0});
  auto cursor = (*view)->cursor(scan);
  if (!cursor) return cursor.status();
  ChangeLoader loader(view->get());
  uint64_t at = 0;
  uint64_t next = revisions->current + 1;
  Status status;
  for (uint64_t scanned = 0;; ++scanned) {
    Result<bool> moved = (*cursor)->next();
    if (!moved) status = moved.status();
    if (!moved || !*moved) break;
    auto position = parse_change_key((*cursor)->key());
    auto change = decode_change((*cursor)->value());
    status = !position ? position.status() : change.status();
    if (!status) break;
    if (position->revision != at) {
      const bool full = scanned >= kScannedMax || collected_ >= kSharedMax ||
                        collected_bytes_ >= limits_.batch_bytes;
      if (full) next = position->revision;
      if (full) break;
      at = position->revision;
      revision_shared_ = revision_changes_ = revision_bytes_ = 0;
    }
    status = collect(*position, *change, &loader);
    if (!status) break;
  }
  if (status) live_ = std::max(live_, next);
  if (!status) {
    // Nothing was delivered yet, so that the pass can be repeated.
    for (Watcher* watcher : touched_) {
      const bool behind = watcher->state == Watcher::State::kBehind && !watcher->batch.empty();
      if (behind) watcher->next = {watcher->batch.front().revision, 0};
      watcher->batch.clear();
    }
  }
  deliver_collected();
  return status;
}

Status WatchHub::collect(ChangePosition at, const Change& change, ChangeLoader* loader) {
  matched_.clear();
  bool with_prev = false;
  index_.match(change.key, [&](Watcher* watcher) {
    // Not wanted yet, or read in the history already.
    if (watcher->next.revision > at.revision) return;
    const bool live = watcher->state == Watcher::State::kLive;
    if (!live && (!watcher->follows || watcher->credit > 0)) return;
    matched_.push_back(watcher);
    with_prev = with_prev || watcher->options.with_prev;
  });
  if (matched_.empty()) return Status();
  revision_shared_ += matched_.size();
  if (revision_shared_ > kSharedMax) split_revision(at.revision);
  return loader->load(at, change, with_prev, [&](const ChangeView& view) {
    const uint64_t bytes = bytes_of(view);
    revision_bytes_ += bytes;
    collected_bytes_ += bytes;
    const bool large = revision_bytes_ > limits_.batch_bytes;
    if (++revision_changes_ > limits_.batch_changes || (large && revision_changes_ > 1)) {
      split_revision(at.revision);
    }
    const ChangeView kept = split_ == at.revision ? view : texts_.keep(view);
    for (Watcher* watcher : matched_) give(watcher, kept, bytes);
  });
}

// The revision is too large to be collected for all at once.
void WatchHub::split_revision(uint64_t revision) {
  if (split_ == revision) return;
  split_ = revision;
  for (Watcher* watcher : touched_) {
    const bool has = !watcher->batch.empty() && watcher->batch.back().revision == revision;
    if (has) fall_behind(watcher, revision);
  }
}

void WatchHub::give(Watcher* watcher, const ChangeView& change, uint64_t bytes) {
  if (watcher->state == Watcher::State::kLive &&
      (watcher->credit == 0 || split_ == change.revision)) {
    fall_behind(watcher, change.revision);
  }
  if (watcher->state != Watcher::State::kLive) {
    if (watcher->credit > 0) return;
    const bool fits = watcher->lag_bytes <= limits_.lag_bytes_max;
    watcher->lag_bytes += bytes;
    if (fits && watcher->lag_bytes > limits_.lag_bytes_max) lagging_.push_back(watcher);
    return;
  }
  if (watcher->batch.empty() || watcher->batch.back().revision != change.revision) {
    watcher->revision_start = watcher->batch.size();
  } else {
    watcher->batch.back().more_of_revision = true;
  }
  watcher->batch.push_back(change);
  watcher->batch.back().more_of_revision = false;
  if (!watcher->options.with_prev) watcher->batch.back().prev = nullptr;
  ++collected_;
  if (watcher->touched) return;
  watcher->touched = true;
  touched_.push_back(watcher);
}

// It gets this revision, which it has nothing of yet, from the history.
void WatchHub::fall_behind(Watcher* watcher, uint64_t revision) {
  watcher->state = Watcher::State::kBehind;
  watcher->next = {revision + (KVS_MUTATED(kWatchResumesLate) ? 1 : 0), 0};
  if (!watcher->batch.empty() && watcher->batch.back().revision == revision) {
    watcher->batch.resize(watcher->revision_start);
  }
  enqueue(watcher);
}

void WatchHub::deliver_collected() {
  for (Watcher* watcher : touched_) {
    watcher->touched = false;
    if (watcher->batch.empty()) continue;
    --watcher->credit;
    watcher->reported = delivered_up_to(*watcher);
    watcher->listener->on_changes(watcher->batch, watcher->reported);
    watcher->batch.clear();
    if (watcher->batch.capacity() > kBatchKept) watcher->batch.shrink_to_fit();
  }
  for (Watcher* watcher : lagging_) {
    end(watcher,
        Status(Code::kBusy,
               fmt::format("more than {} bytes of changes were not taken", limits_.lag_bytes_max)),
        delivered_up_to(*watcher));
  }
  touched_.clear();
  lagging_.clear();
  texts_.clear();
  collected_ = collected_bytes_ = split_ = 0;
}

// Whoever still needed what is gone ends; the others go on above it.
void WatchHub::cut_compacted(uint64_t compacted) {
  for (const auto& watcher : watchers_) {
    const uint64_t next = delivered_up_to(*watcher) + 1;
    if (watcher->state != Watcher::State::kLive || next > compacted) continue;
    end(watcher.get(), compacted_status(next, compacted), compacted);
  }
  live_ = compacted + 1;
}

// ---- what was

Status WatchHub::run_behind(Watcher* watcher) {
  behind_.pop_front();
  watcher->queued = false;
  if (watcher->state != Watcher::State::kBehind) return Status();
  const auto retry = [&](Status status) {
    watcher->queued = true;
    behind_.push_front(watcher);
    return status;
  };
  auto view = store_->open_view();
  if (!view) return retry(view.status());
  ChangeOptions options;
  options.range = watcher->options.range;
  options.with_prev = watcher->options.with_prev;
  options.changes_max = limits_.batch_changes;
  options.bytes_max = limits_.batch_bytes;
  options.scanned_max = kScannedMax;
  changes_.clear();
  texts_.clear();
  uint64_t bytes = 0;
  auto read = read_changes(**view, watcher->next, options, [&](const ChangeView& change) {
    if (watcher->credit == 0) return false;
    bytes += bytes_of(change);
    changes_.push_back(texts_.keep(change));
    return true;
  });
  if (read) {
    take_behind(watcher, *read, bytes);
    return Status();
  }
  if (read.status().code() != Code::kCompacted) return retry(read.status());
  auto revisions = read_revisions(**view);
  if (!revisions) return retry(revisions.status());
  end(watcher, read.status(), revisions->compacted);
  return Status();
}

void WatchHub::take_behind(Watcher* watcher, const ChangesResult& read, uint64_t bytes) {
  // Without credit it was only looked whether there is something: then it waits at the same place.
  const bool refused = read.count != 0 && changes_.empty();
  if (!refused) watcher->next = read.next;
  if (!changes_.empty()) {
    --watcher->credit;
    watcher->lag_bytes -= std::min(watcher->lag_bytes, bytes);
    watcher->reported = watcher->next.revision - 1;
    watcher->listener->on_changes(changes_, watcher->reported);
    changes_.clear();
  }
  texts_.clear();
  if (refused) return;
  if (read.more || watcher->next.revision < live_) return enqueue(watcher);
  watcher->state = Watcher::State::kLive;
  watcher->lag_bytes = 0;
  if (!watcher->follows) ++followers_;
  watcher->follows = true;
  if (!watcher->options.with_progress || delivered_up_to(*watcher) <= watcher->reported) return;
  watcher->reported = delivered_up_to(*watcher);
  watcher->listener->on_progress(watcher->reported);
}

}  // namespace kvstore::kv
