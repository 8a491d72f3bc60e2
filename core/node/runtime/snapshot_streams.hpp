// Snapshots between nodes: built from a view and streamed out, received into a restore and handed
// to the Node.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "node/node.hpp"
#include "node/ports.hpp"
#include "node/runtime/apply_thread.hpp"
#include "node/runtime/fatal.hpp"
#include "node/runtime/log_thread.hpp"
#include "node/runtime/raft_thread.hpp"
#include "node/runtime/worker.hpp"
#include "plugin/transport.hpp"

namespace kvstore::node::runtime {

// One outgoing and one incoming stream at a time.
class SnapshotStreams : public SnapshotPort {
 public:
  struct Parts {
    RaftThread* raft_thread = nullptr;
    plugin::Transport* transport = nullptr;
    plugin::StateStore* state = nullptr;
    StateAdapter* adapter = nullptr;
    ApplyThread* apply = nullptr;
    LogThread* log = nullptr;
    std::function<wire::ClusterId()> cluster;
    FatalFn fatal;  // the own state cannot be read
    raft::NodeId self;
    uint32_t chunk_timeout_ms = 30'000;
    uint32_t finish_timeout_ms = 120'000;  // the receiver installs within it
  };

  explicit SnapshotStreams(Parts parts) : parts_(std::move(parts)) {}
  ~SnapshotStreams() override { stop(); }

  void start(Node* node);
  // Streams in both directions end at their next chunk, or when the transport stops.  [any-thread]
  void begin_stop() { stopping_ = true; }
  // Joins the sender: after the transport stopped, which frees it from a peer that does not answer.
  void stop();

  // [raft-thread]
  void send(raft::NodeId peer, raft::Term term) override;
  void install(std::unique_ptr<StagedSnapshot> staged, const raft::SnapshotMeta& meta) override;

  // [plugin-threads] Accepts a stream or says why not.
  Result<std::unique_ptr<plugin::RxStream>> accept(const kvs_stream_info& info);

 private:
  struct Outgoing {
    raft::NodeId peer;
    raft::Term term;
  };
  class Incoming;
  Status own_state_failed(const Status& why);
  Status stream_to(const Outgoing& task, raft::LogId* last);

  Parts parts_;
  Node* node_ = nullptr;
  Worker<Outgoing> sender_;
  std::atomic<bool> stopping_{false};
  // Outlives this object in a restore that still waits for its install.
  std::shared_ptr<std::atomic<bool>> receiving_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace kvstore::node::runtime
