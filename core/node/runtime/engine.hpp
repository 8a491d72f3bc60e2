// The engine as API plugins see it: one kvs_engine table per front end, over one node.
//
// Lifecycle: built before the front ends; drained (the Node ends everything) before they stop;
// destroyed after them. Concurrency: [any-thread] throughout.  Completions run on the raft or the
// apply thread; a consumer posts and returns. Outline: engine.cpp the tables, control and metrics;
// engine_txn.cpp writes and uploads; engine_read.cpp readers; engine_blob.cpp snapshots to take
// away; engine_watch.cpp watches.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <kvstore/abi/api.h>

#include "kv/state_machine.hpp"
#include "node/ports.hpp"
#include "node/runtime/engine_limits.hpp"
#include "node/runtime/fatal.hpp"
#include "node/runtime/raft_thread.hpp"
#include "node/runtime/state_adapter.hpp"
#include "node/runtime/watch_service.hpp"

namespace kvstore::node::runtime {

class Engine {
 public:
  struct Parts {
    RaftThread* raft_thread = nullptr;
    StateAdapter* adapter = nullptr;
    kv::StateMachine* machine = nullptr;
    WatchService* watches = nullptr;
    Clock* clock = nullptr;
    std::function<std::string()> metrics_text;  // Prometheus exposition
    FatalFn fatal;                              // a read found that the state cannot be trusted
  };

  // One front end's face of the engine.  Outlives the front end.
  class Frontend {
   public:
    Frontend(Engine* engine, std::string name);
    Frontend(const Frontend&) = delete;
    Frontend& operator=(const Frontend&) = delete;
    const kvs_engine* table() const { return &table_; }
    Engine& engine() { return *engine_; }
    const std::string& name() const { return name_; }

   private:
    Engine* engine_;
    std::string name_;  // instance name: results carry the leader's address of the same one
    kvs_engine table_{};
  };

  Engine(const Parts& parts, const EngineLimits& limits);

  // The newest view of the node, for leader names and addresses.
  void publish(std::shared_ptr<const NodeView> view);
  std::shared_ptr<const NodeView> view() const;

  // [raft-thread]
  void publish(const LocalReads& reads);
  // Whether the applied state may answer such a read as it is, at the moment.
  bool may_read_here(const kvs_read_options& options) const;

  const Parts& parts() const { return parts_; }
  const EngineLimits& limits() const { return limits_; }
  Budget& proposals() { return proposals_; }
  Budget& reads() { return reads_; }
  Budget& readers() { return readers_; }
  Budget& uploads() { return uploads_; }
  Budget& blobs() { return blobs_; }

  // From now on every blob ends with CANCELLED at its next read: the node stops or cannot go on.
  void stop_blobs() { blobs_stopped_.store(true); }
  bool blobs_stopped() const { return blobs_stopped_.load(); }

  // Puts that were refused because their lease does not exist, or because there are too many.
  std::atomic<uint64_t>& puts_without_lease() { return puts_without_lease_; }
  std::atomic<uint64_t>& puts_above_leases() { return puts_above_leases_; }

  // Absolute milliseconds of the node's clock for a call.
  uint64_t deadline_ms(const kvs_call* call) const;
  uint64_t next_upload_id();

 private:
  Parts parts_;
  EngineLimits limits_;
  Budget proposals_;
  Budget reads_;
  Budget readers_;
  Budget uploads_;
  Budget blobs_;
  std::atomic<bool> blobs_stopped_{false};
  std::atomic<uint64_t> puts_without_lease_{0};
  std::atomic<uint64_t> puts_above_leases_{0};
  std::atomic<uint64_t> upload_seed_;
  std::atomic<uint64_t> lease_until_ms_{0};
  std::atomic<uint64_t> commit_index_{0};
  std::atomic<uint64_t> fresh_ms_{0};
  mutable std::mutex view_mutex_;
  std::shared_ptr<const NodeView> view_;
};

// Fills what every result has in common: leader, message, position.  The strings are borrowed from
// the arguments.
kvs_result make_result(Code code, const std::string& message, raft::LogId at, const NodeView* view,
                       const std::string& frontend);

// ---- entries of the table, by file; ctx is the Frontend
// engine_txn.cpp
kvs_status engine_txn(void* ctx, const kvs_call* c, const kvs_txn* t, kvs_done done, void* user,
                      kvs_error* err) noexcept;
kvs_status engine_upload_open(void* ctx, const kvs_call* c, uint64_t total_bytes, kvs_upload** out,
                              kvs_error* err) noexcept;
kvs_status engine_upload_write(kvs_upload* u, const kvs_slice* chunk, kvs_done done, void* user,
                               kvs_error* err) noexcept;
void engine_upload_close(kvs_upload* u) noexcept;
// engine_read.cpp
kvs_status engine_read_open(void* ctx, const kvs_call* c, const kvs_read_options* o,
                            kvs_read_done done, void* user, kvs_reader** now,
                            kvs_error* err) noexcept;
uint64_t engine_read_revision(kvs_reader* r) noexcept;
kvs_status engine_get(kvs_reader* r, const kvs_slice* key, kvs_item_sink sink, void* sctx,
                      kvs_error* err) noexcept;
kvs_status engine_scan(kvs_reader* r, const kvs_range* range, uint32_t flags, uint64_t limit,
                       uint64_t bytes_max, kvs_item_sink sink, void* sctx, kvs_slice_sink cursor,
                       kvs_error* err) noexcept;
kvs_status engine_value_read(kvs_reader* r, const kvs_slice* key, uint64_t offset, uint64_t bytes,
                             kvs_slice_sink sink, void* sctx, kvs_error* err) noexcept;
void engine_read_close(kvs_reader* r) noexcept;
// engine_blob.cpp
kvs_status engine_blob_open(void* ctx, const kvs_call* c, const char* what, kvs_blob** out,
                            kvs_error* err) noexcept;
kvs_status engine_blob_read(kvs_blob* b, uint64_t bytes_max, kvs_slice_sink sink, void* sctx,
                            kvs_error* err) noexcept;
void engine_blob_close(kvs_blob* b) noexcept;
// engine_watch.cpp and, for handles, watch_service.cpp
kvs_status engine_watch_open(void* ctx, const kvs_call* c, const kvs_watch_options* o,
                             kvs_watch_fn fn, void* user, kvs_watch** out, kvs_error* err) noexcept;
void engine_watch_credit(kvs_watch* w, uint32_t batches) noexcept;
void engine_watch_close(kvs_watch* w) noexcept;

}  // namespace kvstore::node::runtime
