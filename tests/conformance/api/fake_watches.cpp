#include "fake_watches.hpp"

#include <utility>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

struct kvs_watch {
  kvstore::conformance::FakeWatches* owner = nullptr;
  kvs_watch_fn fn = nullptr;
  void* user = nullptr;
  kvstore::conformance::WatchAsked asked;
  uint64_t credit = 0;
  bool in_call = false;
  bool ended = false;
  bool closed = false;
};

namespace kvstore::conformance {

void FakeWatches::refuse_next(kvs_status status, std::string message) {
  std::lock_guard lock(mutex_);
  refusal_ = status;
  refusal_message_ = std::move(message);
}

size_t FakeWatches::opened() const {
  std::lock_guard lock(mutex_);
  return watches_.size();
}

size_t FakeWatches::open() const {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const Watch& watch : watches_) count += watch->closed ? 0 : 1;
  return count;
}

FakeWatches::Watch FakeWatches::find(size_t watch) const {
  std::lock_guard lock(mutex_);
  return watches_.at(watch);
}

bool FakeWatches::is_open(size_t watch) const {
  std::lock_guard lock(mutex_);
  return !watches_.at(watch)->closed;
}

WatchAsked FakeWatches::asked(size_t watch) const {
  std::lock_guard lock(mutex_);
  return watches_.at(watch)->asked;
}

uint64_t FakeWatches::credit(size_t watch) const {
  std::lock_guard lock(mutex_);
  return watches_.at(watch)->credit;
}

bool FakeWatches::call(const Watch& watch, bool costs_credit, const std::function<void()>& fn) {
  {
    std::lock_guard lock(mutex_);
    if (watch->closed || watch->ended || (costs_credit && watch->credit == 0)) return false;
    if (costs_credit) --watch->credit;
    watch->in_call = true;
  }
  fn();
  std::lock_guard lock(mutex_);
  watch->in_call = false;
  called_.notify_all();
  return true;
}

bool FakeWatches::deliver(size_t number, const std::vector<FakeChange>& changes,
                          uint64_t revision) {
  const Watch watch = find(number);
  std::vector<kvs_event> events;
  std::vector<kvs_item> prevs(changes.size());
  for (size_t i = 0; i < changes.size(); ++i) {
    const FakeChange& change = changes[i];
    kvs_event event{};
    event.kind = change.value ? KVS_EVENT_PUT : KVS_EVENT_DELETE;
    event.flags = change.more ? uint32_t{KVS_EVENT_MORE} : 0u;
    event.revision = change.revision;
    event.now.key = sdk::slice(change.key);
    event.now.mod_revision = change.revision;
    if (change.value) {
      event.now.value = sdk::slice(*change.value);
      event.now.value_bytes = change.value->size();
      event.now.create_revision = change.revision;
      event.now.version = 1;
    }
    if (change.prev) {
      prevs[i].key = event.now.key;
      prevs[i].value = sdk::slice(*change.prev);
      prevs[i].value_bytes = change.prev->size();
      prevs[i].create_revision = prevs[i].mod_revision = change.revision - 1;
      prevs[i].version = 1;
      event.prev = &prevs[i];
    }
    events.push_back(event);
  }
  return call(watch, true, [&] {
    watch->fn(watch->user, KVS_OK, events.data(), static_cast<uint32_t>(events.size()), revision);
  });
}

bool FakeWatches::progress(size_t number, uint64_t revision) {
  const Watch watch = find(number);
  return call(watch, false, [&] { watch->fn(watch->user, KVS_OK, nullptr, 0, revision); });
}

void FakeWatches::end(size_t number, kvs_status status, uint64_t revision) {
  const Watch watch = find(number);
  call(watch, false, [&] { watch->fn(watch->user, status, nullptr, 0, revision); });
  std::lock_guard lock(mutex_);
  watch->ended = true;
}

void FakeWatches::cancel_all() {
  for (size_t i = 0; i < opened(); ++i) end(i, KVS_E_CANCELLED, 0);
}

kvs_status FakeWatches::watch_open(const kvs_call& call, const kvs_watch_options& options,
                                   kvs_watch_fn fn, void* user, kvs_watch** out, kvs_error* err) {
  std::lock_guard lock(mutex_);
  if (refusal_ != KVS_OK) {
    return sdk::fail(err, std::exchange(refusal_, KVS_OK), refusal_message_);
  }
  auto watch = std::make_shared<kvs_watch>();
  watch->owner = this;
  watch->fn = fn;
  watch->user = user;
  watch->credit = options.credit;
  watch->asked = {options.flags,
                  options.range.kind,
                  std::string(sdk::view(options.range.key)),
                  std::string(sdk::view(options.range.end)),
                  options.from_revision,
                  std::string(sdk::view(call.remote_address))};
  *out = watch.get();
  watches_.push_back(std::move(watch));
  return KVS_OK;
}

void FakeWatches::watch_credit(kvs_watch* watch, uint32_t batches) {
  std::lock_guard lock(watch->owner->mutex_);
  watch->credit += batches;
}

// The watch itself stays, so that a test can look at it.
void FakeWatches::watch_close(kvs_watch* watch) {
  FakeWatches& owner = *watch->owner;
  std::unique_lock lock(owner.mutex_);
  watch->closed = true;
  owner.called_.wait(lock, [&] { return !watch->in_call; });
}

}  // namespace kvstore::conformance
