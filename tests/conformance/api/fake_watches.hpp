// The watches of the scripted engine: a test says what each is told, and sees what the plugin asked
// for.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <kvstore/abi/api.h>

namespace kvstore::conformance {

struct FakeChange {
  uint64_t revision = 0;
  std::string key;
  std::optional<std::string> value;  // none: a delete
  std::optional<std::string> prev;
  bool more = false;
};

// What the plugin asked for.
struct WatchAsked {
  uint32_t flags = 0, kind = 0;
  std::string key, end;
  uint64_t from_revision = 0;
  std::string remote_address;
};

// Watches have numbers, in the order of opening, from 0.  Concurrency: [any-thread].
class FakeWatches {
 public:
  // The next watch_open fails.
  void refuse_next(kvs_status status, std::string message);
  size_t opened() const;
  size_t open() const;
  bool is_open(size_t watch) const;
  WatchAsked asked(size_t watch) const;
  uint64_t credit(size_t watch) const;
  // On the caller's thread; false, and nothing happens, without credit or when it is closed.
  bool deliver(size_t watch, const std::vector<FakeChange>& changes, uint64_t revision);
  bool progress(size_t watch, uint64_t revision);
  void end(size_t watch, kvs_status status, uint64_t revision);
  void cancel_all();

  // ---- the table's side
  kvs_status watch_open(const kvs_call& call, const kvs_watch_options& options, kvs_watch_fn fn,
                        void* user, kvs_watch** out, kvs_error* err);
  static void watch_credit(kvs_watch* watch, uint32_t batches);
  static void watch_close(kvs_watch* watch);

 private:
  using Watch = std::shared_ptr<kvs_watch>;
  Watch find(size_t watch) const;
  bool call(const Watch& watch, bool costs_credit, const std::function<void()>& fn);

  mutable std::mutex mutex_;
  std::condition_variable called_;
  std::vector<Watch> watches_;
  kvs_status refusal_ = KVS_OK;
  std::string refusal_message_;
};

}  // namespace kvstore::conformance
