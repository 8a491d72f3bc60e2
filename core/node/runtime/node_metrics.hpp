// The node's own figures as metrics.
#pragma once

#include <array>
#include <cstdint>

#include <kvstore/abi/host.h>

#include "node/node.hpp"
#include "node/runtime/engine.hpp"
#include "node/runtime/peer_metrics.hpp"

namespace kvstore::node::runtime {

// Concurrency: update() on the raft thread only.
class NodeMetrics {
 public:
  // `metrics` may be null: then nothing happens.
  NodeMetrics(const kvs_metrics* metrics, PeerMetrics* peers);

  // Sets every series, but at most once in kIntervalMs.
  void update(const Node& node, Engine& engine, uint64_t now_ms);
  // What the log and the state take on the disk.
  void set_storage(uint64_t log_bytes, uint64_t state_bytes);

 private:
  static constexpr uint64_t kIntervalMs = 250;
  enum Gauge : size_t {
    kTerm,
    kIsLeader,
    kHasLeader,
    kCommitIndex,
    kAppliedIndex,
    kFirstIndex,
    kLastIndex,
    kDurableIndex,
    kStateDurableIndex,
    kMembers,
    kRevision,
    kCompactedRevision,
    kHistoryBytes,
    kLogCacheBytes,
    kProposalsInside,
    kProposalBytesInside,
    kReadsWaiting,
    kReadersOpen,
    kUploadsOpen,
    kWatchesOpen,
    kWatchesLimit,
    kProposalsLimit,
    kProposalBytesLimit,
    kReadsLimit,
    kReadersLimit,
    kUploadsLimit,
    kForwardedInside,
    kForwardedLimit,
    kMembersLowOnSpace,
    kLeaseHeld,
    kLeases,
    kTtlKeys,
    kLeasesLimit,
    kDiskFree,
    kLogStorage,
    kStateStorage,
    kGaugeCount
  };
  enum Counter : size_t {
    kProposals,
    kReads,
    kLeaseReads,
    kTooStaleReads,
    kForwarded,
    kLeaderChanges,
    kSnapshotsSent,
    kSnapshotsInstalled,
    kMessagesDropped,
    kStateDivergences,
    kLeasesGranted,
    kLeasesEnded,
    kLeasesRevoked,
    kLeaseKeepalives,
    kLeaseRefusedNotFound,
    kLeaseRefusedExists,
    kLeaseRefusedTooMany,
    kLeaseRefusedInvalid,
    kCounterCount
  };

  void update_peers(const Node& node);
  void update_leases(const Node& node, Engine& engine);
  void set(Gauge gauge, uint64_t value);
  void raise(Counter counter, uint64_t total);

  const kvs_metrics* metrics_;
  PeerMetrics* peers_;
  std::array<uint64_t, kGaugeCount> gauges_{};
  std::array<uint64_t, kCounterCount> counters_{};
  std::array<uint64_t, kCounterCount> totals_{};
  uint64_t last_ms_ = 0;
};

}  // namespace kvstore::node::runtime
