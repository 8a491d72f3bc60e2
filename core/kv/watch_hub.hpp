// Changes as they happen, to everybody who asked for them: each watcher gets every change of its
// range from its revision on, once and in order.
//
// How.  What is new is read from the store once, key by key; the index says who wants a key, and
// its versions are read once for all of them.  A watcher that begins in the past, or that could not
// be given something new, reads the history by itself, a bounded piece per step, until it stands
// where the others stand.  Nothing is queued for a watcher, so memory does not grow with what it
// has not taken yet.
//
// Bounds.  A step looks at kScannedMax stored changes of each kind, and goes on to the end of a
// revision.  A watcher without credit whose missed changes take more than
// WatchLimits::lag_bytes_max ends with BUSY.
//
// Pure: one thread, no clock.  Listeners are called inside step(), report_progress() and end_all(),
// and must not call the hub.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kv/change_reader.hpp"
#include "kv/store.hpp"
#include "kv/watch_index.hpp"

namespace kvstore::kv {

struct WatchOptions {
  Range range;  // that validate_range() accepts
  uint64_t from_revision = 1;
  bool with_prev = false;
  bool with_progress = false;
  uint64_t credit = 0;  // batches that may be delivered before the first credit()
};

class WatchListener {
 public:
  virtual ~WatchListener() = default;
  // One batch; costs a credit.  Everything of the range up to `revision` is delivered with it:
  // below the revision of the last change when more of that one follows.  Views live during the
  // call.
  virtual void on_changes(std::span<const ChangeView> changes, uint64_t revision) = 0;
  // Everything of the range up to `revision` was delivered.  Only with_progress.
  virtual void on_progress(uint64_t revision) = 0;
  // The last call.  COMPACTED: the history below `revision` is gone, changes above it can be
  // watched.  BUSY, or the code of end_all(): everything up to `revision` was delivered.
  virtual void on_end(const Status& why, uint64_t revision) = 0;
};

struct WatchLimits {
  // Of a batch; a single change may be larger, and when several watchers are served at once a batch
  // has up to twice as much.
  uint64_t batch_changes = 256;
  uint64_t batch_bytes = 64 << 10;
  uint64_t lag_bytes_max = 4 << 20;
};

class WatchHub {
 public:
  static constexpr uint64_t kScannedMax = 4096;
  // Entries in all batches of a step together: a revision that needs more goes to each of its
  // watchers by itself.
  static constexpr uint64_t kSharedMax = 65'536;

  // The store outlives the hub.
  explicit WatchHub(Store* store, const WatchLimits& limits = {});
  ~WatchHub();

  // The listener outlives the watcher, which lives until close().
  Watcher* open(const WatchOptions& options, WatchListener* listener);
  void credit(Watcher* watcher, uint64_t batches);
  void close(Watcher* watcher);
  size_t size() const { return watchers_.size(); }

  // Does a bounded piece of work.  `revision`: the newest one that a new view is sure to show. True
  // when there is more to do at once.  An error is the store's; the step can be repeated.
  Result<bool> step(uint64_t revision);
  void report_progress();
  void end_all(const Status& why);

 private:
  // What a batch's views point to.
  struct Texts {
    std::deque<std::string> strings;
    std::deque<ItemView> items;
    Bytes keep(Bytes bytes) { return bytes.empty() ? Bytes() : Bytes(strings.emplace_back(bytes)); }
    ChangeView keep(const ChangeView& change);
    void clear();
  };

  Status run_live();
  Status collect(ChangePosition at, const Change& change, ChangeLoader* loader);
  void give(Watcher* watcher, const ChangeView& change, uint64_t bytes);
  void fall_behind(Watcher* watcher, uint64_t revision);
  void split_revision(uint64_t revision);
  void deliver_collected();
  void cut_compacted(uint64_t compacted);
  Status run_behind(Watcher* watcher);
  void take_behind(Watcher* watcher, const ChangesResult& read, uint64_t bytes);
  void enqueue(Watcher* watcher);
  void end(Watcher* watcher, const Status& why, uint64_t revision);
  uint64_t delivered_up_to(const Watcher& watcher) const;

  Store* const store_;
  const WatchLimits limits_;
  WatchIndex index_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::deque<Watcher*> behind_;  // those with credit that have something to read
  uint64_t followers_ = 0;       // watchers that have been live
  uint64_t live_ = 0;            // the next revision for those that are

  // Of the step under way.
  Texts texts_;
  std::vector<ChangeView> changes_;
  std::vector<Watcher*> matched_, touched_, lagging_;
  uint64_t collected_ = 0, collected_bytes_ = 0;
  uint64_t revision_shared_ = 0, revision_changes_ = 0, revision_bytes_ = 0;
  uint64_t split_ = 0;  // the revision that every watcher reads by itself
};

}  // namespace kvstore::kv
