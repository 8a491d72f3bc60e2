#include "node/runtime/watch_service.hpp"

#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>

#include "base/log.hpp"
#include "node/runtime/engine.hpp"
#include "node/runtime/engine_convert.hpp"
#include "plugin/status.hpp"

struct kvs_watch final : kvstore::kv::WatchListener {
  kvstore::node::runtime::WatchService* service = nullptr;
  kvs_watch_fn fn = nullptr;
  void* user = nullptr;
  kvstore::kv::WatchOptions options;
  kvstore::kv::Watcher* watcher = nullptr;  // the thread's own
  bool closed = false;                      // under the service's lock

  void on_changes(std::span<const kvstore::kv::ChangeView> changes, uint64_t revision) override;
  void on_progress(uint64_t revision) override {
    service->call(this, kvstore::Code::kOk, {}, revision);
  }
  void on_end(const kvstore::Status& why, uint64_t revision) override {
    service->call(this, why.code(), {}, revision);
  }
};

void kvs_watch::on_changes(std::span<const kvstore::kv::ChangeView> changes, uint64_t revision) {
  using kvstore::kv::ChangeView;
  std::vector<kvs_item>& items = service->items_;
  std::vector<kvs_event>& events = service->events_;
  items.clear();
  items.reserve(changes.size());  // the events point into it
  events.clear();
  for (const ChangeView& change : changes) {
    kvs_event event{};
    event.kind = change.kind == ChangeView::Kind::kPut ? KVS_EVENT_PUT : KVS_EVENT_DELETE;
    event.flags = change.more_of_revision ? uint32_t{KVS_EVENT_MORE} : 0u;
    event.now = kvstore::node::runtime::item_to_abi(change.now);
    event.revision = change.revision;
    if (change.prev != nullptr) {
      items.push_back(kvstore::node::runtime::item_to_abi(*change.prev));
      event.prev = &items.back();
    }
    events.push_back(event);
  }
  service->call(this, kvstore::Code::kOk, events, revision);
}

namespace kvstore::node::runtime {
namespace {

using std::chrono::milliseconds;

// After a read that failed for want of something.
constexpr milliseconds kRetryPause{50};
// How long cancel_all() waits for callbacks, which must not block.
constexpr milliseconds kCancelPatience{5'000};

uint64_t now_ms() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

}  // namespace

WatchService::WatchService(kv::Store* store, kv::StateMachine* machine, uint64_t watches_max,
                           const kv::WatchLimits& limits, FatalFn fatal)
    : machine_(machine),
      watches_max_(watches_max),
      fatal_(std::move(fatal)),
      revision_(machine->revision()),
      hub_(store, limits) {}

WatchService::~WatchService() {
  stop();
}

void WatchService::start() {
  std::lock_guard lock(mutex_);
  running_ = true;
  thread_ = std::thread([this] { run(); });
  thread_id_ = thread_.get_id();
}

void WatchService::stop() {
  cancel_all();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void WatchService::advanced(uint64_t revision) {
  revision_.store(revision);
  if (!sleeping_.load() || watches_.load() == 0) return;
  // With the lock, so that the thread does not miss it between its last look and its wait.
  {
    std::lock_guard lock(mutex_);
    sleeping_.store(false);
  }
  wake_.notify_one();
}

Status WatchService::open(kv::WatchOptions options, kvs_watch_fn fn, void* user, kvs_watch** out) {
  const uint64_t compacted = machine_->compacted_revision();
  if (options.from_revision == 0) {
    options.from_revision = machine_->revision() + 1;
  } else if (options.from_revision <= compacted) {
    return {Code::kCompacted, fmt::format("the changes of revision {} are compacted: the oldest "
                                          "are those of revision {}",
                                          options.from_revision, compacted + 1)};
  }
  if (watches_.fetch_add(1) >= watches_max_) {
    watches_.fetch_sub(1);
    return {Code::kBusy, fmt::format("{} watches are open (limits.watches_max)", watches_max_)};
  }
  auto watch = std::make_unique<kvs_watch>();
  watch->service = this;
  watch->fn = fn;
  watch->user = user;
  watch->options = std::move(options);
  {
    std::lock_guard lock(mutex_);
    if (!cancelled_ && running_) {
      *out = watch.release();
      commands_.push_back({Command::Kind::kOpen, *out});
      sleeping_.store(false);
    }
  }
  if (watch != nullptr) {
    watches_.fetch_sub(1);
    return {Code::kClosed, "the node is shutting down"};
  }
  wake_.notify_one();
  return Status::ok();
}

void WatchService::push(Command command) {
  commands_.push_back(command);
  sleeping_.store(false);
  wake_.notify_one();
}

void WatchService::credit(kvs_watch* watch, uint32_t batches) {
  std::lock_guard lock(mutex_);
  push({Command::Kind::kCredit, watch, batches});
}

void WatchService::close(kvs_watch* watch) {
  std::unique_lock lock(mutex_);
  watch->closed = true;
  watches_.fetch_sub(1);
  if (!running_) {
    lock.unlock();
    delete watch;
    return;
  }
  push({Command::Kind::kClose, watch});
  if (std::this_thread::get_id() == thread_id_) return;
  ++waiting_;
  called_.wait(lock, [&] { return in_call_ != watch; });
  --waiting_;
}

void WatchService::cancel_all() {
  std::unique_lock lock(mutex_);
  if (!running_) return;
  if (!std::exchange(cancelled_, true)) push({Command::Kind::kCancelAll});
  ++waiting_;
  called_.wait_for(lock, kCancelPatience, [this] { return all_told_; });
  --waiting_;
}

void WatchService::run() {
  pthread_setname_np(pthread_self(), "kvs-watch");
  std::vector<Command> commands;
  bool more = false;
  while (wait(more, &commands)) {
    for (const Command& command : commands) execute(command);
    commands.clear();
    more = step();
    const uint64_t now = now_ms();
    if (now < progress_due_ms_) continue;
    progress_due_ms_ = now + kProgressMs;
    hub_.report_progress();
  }
  std::lock_guard lock(mutex_);
  running_ = false;
  for (const Command& command : commands_) {
    if (command.kind == Command::Kind::kClose) delete command.watch;
  }
  commands_.clear();
}

bool WatchService::wait(bool more, std::vector<Command>* commands) {
  std::unique_lock lock(mutex_);
  const auto has_work = [&] {
    return stopping_ || !commands_.empty() || (hub_.size() != 0 && revision_.load() > seen_);
  };
  if (!more) {
    sleeping_.store(true);
    if (hub_.size() == 0) {
      wake_.wait(lock, has_work);
    } else {
      wake_.wait_for(lock, milliseconds(kProgressMs), has_work);
    }
    sleeping_.store(false);
  }
  commands->swap(commands_);
  return !stopping_ || !commands->empty();
}

void WatchService::execute(const Command& command) {
  kvs_watch* const watch = command.watch;
  switch (command.kind) {
    case Command::Kind::kOpen:
      watch->watcher = hub_.open(watch->options, watch);
      break;
    case Command::Kind::kCredit:
      hub_.credit(watch->watcher, command.batches);
      break;
    case Command::Kind::kClose:
      hub_.close(watch->watcher);
      delete watch;
      break;
    case Command::Kind::kCancelAll: {
      hub_.end_all(Status(Code::kCancelled, "the node is shutting down"));
      std::lock_guard lock(mutex_);
      all_told_ = true;
      called_.notify_all();
      break;
    }
  }
}

// True when there is more to do at once.
bool WatchService::step() {
  seen_ = revision_.load();
  if (failed_) return false;
  Result<bool> more = hub_.step(seen_);
  if (more) return *more;
  const Status why = more.status();
  if (condemns_state(why.code())) {
    failed_ = true;
    fatal_(why);
    return false;
  }
  KVS_LOG(kWarn, "watch", "changes cannot be read at the moment: {}", why.to_string());
  std::this_thread::sleep_for(kRetryPause);
  return true;
}

void WatchService::call(kvs_watch* watch, Code code, const std::vector<kvs_event>& events,
                        uint64_t revision) {
  {
    std::lock_guard lock(mutex_);
    if (watch->closed) return;
    in_call_ = watch;
  }
  watch->fn(watch->user, plugin::to_abi(code), events.data(), static_cast<uint32_t>(events.size()),
            revision);
  std::lock_guard lock(mutex_);
  in_call_ = nullptr;
  if (waiting_ != 0) called_.notify_all();
}

void engine_watch_credit(kvs_watch* w, uint32_t batches) noexcept {
  w->service->credit(w, batches);
}

void engine_watch_close(kvs_watch* w) noexcept {
  w->service->close(w);
}

}  // namespace kvstore::node::runtime
