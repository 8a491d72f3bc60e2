// The thread behind watches: a kv::WatchHub fed by the apply thread, and the handles that front
// ends hold.
//
// Lifecycle: start() .. cancel_all() .. stop(); a handle may be closed until the destructor.
// Concurrency: [any-thread] but for start() and stop().  Callbacks run on the one thread,
// `kvs-watch`; the apply thread pays an atomic store, and a wake when somebody watches and nothing
// is under way.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include <kvstore/abi/api.h>

#include "base/status.hpp"
#include "kv/state_machine.hpp"
#include "kv/watch_hub.hpp"
#include "node/runtime/fatal.hpp"

namespace kvstore::node::runtime {

class WatchService {
 public:
  // How often watches with progress are told how far they are, when nothing else tells them.
  static constexpr uint64_t kProgressMs = 1'000;

  // All outlive the service.
  WatchService(kv::Store* store, kv::StateMachine* machine, uint64_t watches_max,
               const kv::WatchLimits& limits, FatalFn fatal);
  ~WatchService();

  void start();
  void stop();

  // [apply-thread] A new view shows this revision.
  void advanced(uint64_t revision);

  // *out is set before the first callback.  from_revision 0: what comes after this call.  BUSY
  // above watches_max, COMPACTED, CLOSED after cancel_all().
  Status open(kv::WatchOptions options, kvs_watch_fn fn, void* user, kvs_watch** out);
  void credit(kvs_watch* watch, uint32_t batches);
  void close(kvs_watch* watch);

  // Ends every watch with CANCELLED and returns when all of them were told; opens none any more.
  void cancel_all();

  uint64_t watches() const { return watches_.load(std::memory_order_relaxed); }

 private:
  friend struct ::kvs_watch;
  struct Command {
    enum class Kind : uint8_t { kOpen, kCredit, kClose, kCancelAll };
    Kind kind;
    kvs_watch* watch = nullptr;
    uint64_t batches = 0;
  };

  void run();
  // Waits for something to do; false when it is time to end.
  bool wait(bool more, std::vector<Command>* commands);
  void execute(const Command& command);
  bool step();
  void push(Command command);
  // Calls `fn` of the watch unless it is closed.
  void call(kvs_watch* watch, Code code, const std::vector<kvs_event>& events, uint64_t revision);

  kv::StateMachine* const machine_;
  const uint64_t watches_max_;
  const FatalFn fatal_;
  std::atomic<uint64_t> watches_{0};
  std::atomic<uint64_t> revision_{0};
  std::atomic<bool> sleeping_{false};  // nothing wakes the thread but a new revision or a command

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable called_;  // a callback returned, or all watches were cancelled
  std::vector<Command> commands_;
  kvs_watch* in_call_ = nullptr;
  uint64_t waiting_ = 0;  // for called_
  bool running_ = false;
  bool stopping_ = false;
  bool cancelled_ = false;
  bool all_told_ = false;
  std::thread thread_;
  std::thread::id thread_id_;

  kv::WatchHub hub_;  // the thread's own, like what follows
  uint64_t seen_ = 0;
  bool failed_ = false;
  uint64_t progress_due_ms_ = 0;
  std::vector<kvs_item> items_;
  std::vector<kvs_event> events_;
};

}  // namespace kvstore::node::runtime
