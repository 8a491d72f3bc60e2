// What a node needs of the world.  Node calls a port and goes on; the answer comes back as a call
// of the Node's on_... function, later, on the same executor.  No port call blocks or calls back
// into the Node.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.hpp"
#include "kv/leases.hpp"
#include "node/identity.hpp"
#include "node/requests.hpp"
#include "raft/event.hpp"
#include "raft/output.hpp"
#include "wire/raft_codec.hpp"

namespace kvstore::node {

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic milliseconds; deadlines are in it.
  virtual uint64_t now_ms() = 0;
  // Milliseconds since 1970, for the time stamped into entries.
  virtual uint64_t wall_ms() = 0;
};

// Runs work on the node's own executor.  [any-thread]
class Executor {
 public:
  virtual ~Executor() = default;
  // Later, in order, followed by Node::flush(); dropped once the node stopped.
  virtual void post(std::function<void()> work) = 0;
};

// The log thread and the log reader.
class LogPort {
 public:
  virtual ~LogPort() = default;
  // -> Node::on_persisted with this or a higher sequence.  In order.
  virtual void write(raft::LogWrite write) = 0;
  // -> Node::on_loaded.
  virtual void load(const raft::LoadRequest& request) = 0;
  // Drops entries up to and including `upto`.  In order with writes; no answer.
  virtual void compact(raft::LogId upto) = 0;
};

// Committed entries with the proposals of this node among them: offset in `entries` -> proposal,
// ascending.
struct ApplyBatch {
  std::vector<raft::Entry> entries;
  std::vector<std::pair<size_t, ProposalPtr>> proposals;
};

// The apply thread and the background syncer of the state.
class StatePort {
 public:
  virtual ~StatePort() = default;
  // Applies and completes the proposals -> Node::on_applied.  In order.
  virtual void apply(ApplyBatch batch) = 0;
  // Makes the state durable -> Node::on_state_synced.  One at a time.
  virtual void sync() = 0;
  // Reads the keys of a lease, at most `limit`, in the state that is applied by then.  `done` runs
  // on any thread, or never once the node stopped.
  virtual void read_lease_keys(uint64_t lease, uint64_t limit,
                               std::function<void(Result<kv::LeaseKeys>)> done) = 0;
};

enum class Lane : uint8_t { kControl = 0, kLog = 1, kClient = 2 };

class TransportPort {
 public:
  virtual ~TransportPort() = default;
  // BUSY (full; Node::on_peer_writable follows) or UNREACHABLE: nothing was taken from the refused
  // message on.
  virtual Status send(raft::NodeId to, Lane lane, std::vector<wire::EncodedMessage> messages) = 0;
  virtual void set_peer(raft::NodeId id, const std::string& address) = 0;
  virtual void remove_peer(raft::NodeId id) = 0;
};

// An incoming snapshot that was received completely but not committed.
class StagedSnapshot {
 public:
  virtual ~StagedSnapshot() = default;  // gives it up unless it was installed
};

class SnapshotPort {
 public:
  virtual ~SnapshotPort() = default;
  // Streams the newest applied state to the peer -> Node::on_snapshot_sent.
  virtual void send(raft::NodeId peer, raft::Term term) = 0;
  // Replaces state and then log, durably -> Node::on_snapshot_installed.  In order with apply() and
  // write().
  virtual void install(std::unique_ptr<StagedSnapshot> staged, const raft::SnapshotMeta& meta) = 0;
};

// What other threads may know of the node; published whenever it changes.
struct NodeView {
  wire::ClusterId cluster{};
  raft::NodeId id;
  raft::Role role = raft::Role::kFollower;
  raft::Term term;
  raft::NodeId leader;
  std::string leader_name;
  std::string leader_address;
  std::vector<std::pair<std::string, std::string>> leader_api_addresses;
  Identity identity;
  Membership membership;
};

// What other threads may answer without asking the node, see LeadershipClock and Freshness.
struct LocalReads {
  uint64_t lease_until_ms = 0;  // no other node leads before; on the node's clock
  raft::Index commit;           // what a read under the lease must hold
  uint64_t fresh_ms = 0;        // all that was acknowledged before is applied; 0: nothing is known
};

class ObserverPort {
 public:
  virtual ~ObserverPort() = default;
  // After every step, before anything of it is told to another node.
  virtual void on_local_reads(const LocalReads& reads) = 0;
  virtual void on_view(const NodeView& view) = 0;
  // Durably records that this node now belongs to identity.cluster.  The one port call that may
  // block: it happens once in a node's life.
  virtual Status save_identity(const Identity& identity) = 0;
};

struct Ports {
  Clock* clock = nullptr;
  Executor* executor = nullptr;
  LogPort* log = nullptr;
  StatePort* state = nullptr;
  TransportPort* transport = nullptr;
  SnapshotPort* snapshot = nullptr;
  ObserverPort* observer = nullptr;
};

}  // namespace kvstore::node
