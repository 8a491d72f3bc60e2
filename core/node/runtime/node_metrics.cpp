#include "node/runtime/node_metrics.hpp"

namespace kvstore::node::runtime {
namespace {

struct Series {
  const char* name;
  const char* help;
};

// In the order of the enums.
constexpr Series kGauges[] = {
    {"kvstore_raft_term", "Current term."},
    {"kvstore_raft_is_leader", "1 while this node leads."},
    {"kvstore_raft_has_leader", "1 while a leader is known."},
    {"kvstore_raft_commit_index", "Newest committed log index."},
    {"kvstore_raft_applied_index", "Newest applied log index."},
    {"kvstore_raft_first_index", "Oldest index kept in the log."},
    {"kvstore_raft_last_index", "Newest index in the log."},
    {"kvstore_raft_durable_index", "Newest index that is on this node's disk."},
    {"kvstore_state_durable_index", "Newest index whose effect the state has on disk."},
    {"kvstore_cluster_members", "Members of the cluster, voters and learners."},
    {"kvstore_state_revision", "Revision of the store."},
    {"kvstore_state_compacted_revision", "Oldest revision that can still be read."},
    {"kvstore_state_history_bytes", "What old versions and changes take in the state, about."},
    {"kvstore_raft_log_cache_bytes", "Log entries held in memory."},
    {"kvstore_engine_proposals", "Writes accepted and not answered yet."},
    {"kvstore_engine_proposal_bytes", "Bytes of the writes accepted and not answered yet."},
    {"kvstore_engine_reads_waiting", "Reads and administrative calls not answered yet."},
    {"kvstore_engine_readers_open", "Readers open at the moment."},
    {"kvstore_engine_uploads_open", "Large values being received."},
    {"kvstore_engine_watches_open", "Watches open at the moment."},
    {"kvstore_disk_free_bytes", "Free space on the disk of the data directory."},
};
constexpr Series kCounters[] = {
    {"kvstore_engine_proposals_total", "Writes submitted to this node."},
    {"kvstore_engine_reads_total", "Reads that needed confirmation."},
    {"kvstore_engine_forwarded_total", "Requests forwarded to the leader."},
    {"kvstore_raft_leader_changes_total", "Changes of the known leader."},
    {"kvstore_snapshots_sent_total", "Snapshots sent to other nodes."},
    {"kvstore_snapshots_installed_total", "Snapshots installed here."},
    {"kvstore_messages_dropped_total", "Messages dropped as malformed or of another cluster."},
    {"kvstore_state_divergences_total", "Comparisons that found members with another state."},
};

}  // namespace

NodeMetrics::NodeMetrics(const kvs_metrics* metrics) : metrics_(metrics) {
  static_assert(std::size(kGauges) == kGaugeCount && std::size(kCounters) == kCounterCount);
  if (metrics_ == nullptr) return;
  for (size_t i = 0; i < kGaugeCount; ++i) {
    kvs_status s = metrics_->series(metrics_->ctx, KVS_METRIC_GAUGE, kGauges[i].name,
                                    kGauges[i].help, "", &gauges_[i]);
    KVS_ASSERT(s == KVS_OK);
  }
  for (size_t i = 0; i < kCounterCount; ++i) {
    kvs_status s = metrics_->series(metrics_->ctx, KVS_METRIC_COUNTER, kCounters[i].name,
                                    kCounters[i].help, "", &counters_[i]);
    KVS_ASSERT(s == KVS_OK);
  }
}

void NodeMetrics::set(Gauge gauge, uint64_t value) {
  metrics_->set(metrics_->ctx, gauges_[gauge], static_cast<double>(value));
}

void NodeMetrics::raise(Counter counter, uint64_t total) {
  if (total == totals_[counter]) return;
  metrics_->add(metrics_->ctx, counters_[counter], static_cast<double>(total - totals_[counter]));
  totals_[counter] = total;
}

void NodeMetrics::update(const Node& node, Engine& engine, uint64_t now_ms) {
  if (metrics_ == nullptr || now_ms - last_ms_ < kIntervalMs) return;
  last_ms_ = now_ms;
  const raft::RaftNode& raft = node.raft();
  set(kTerm, raft.term().value);
  set(kIsLeader, raft.role() == raft::Role::kLeader ? 1 : 0);
  set(kHasLeader, raft.leader() ? 1 : 0);
  set(kCommitIndex, raft.commit_index().value);
  set(kAppliedIndex, raft.applied_index().value);
  set(kFirstIndex, raft.log().first_index().value);
  set(kLastIndex, raft.log().last().index.value);
  set(kDurableIndex, raft.durable_index().value);
  set(kStateDurableIndex, node.state_durable().index.value);
  set(kMembers, node.membership().members().size());
  set(kRevision, node.applied().revision);
  set(kCompactedRevision, node.applied().compacted_revision);
  set(kHistoryBytes, node.applied().history_bytes);
  set(kLogCacheBytes, raft.log().cached_bytes());
  set(kProposalsInside, engine.proposals().items());
  set(kProposalBytesInside, engine.proposals().bytes());
  set(kReadsWaiting, engine.reads().items());
  set(kReadersOpen, engine.readers().items());
  set(kUploadsOpen, engine.uploads().items());
  set(kWatchesOpen, engine.parts().watches->watches());
  if (node.free_bytes() != UINT64_MAX) set(kDiskFree, node.free_bytes());
  const Counters& c = node.counters();
  raise(kProposals, c.proposals);
  raise(kReads, c.reads);
  raise(kForwarded, c.forwarded);
  raise(kLeaderChanges, c.leader_changes);
  raise(kSnapshotsSent, c.snapshots_sent);
  raise(kSnapshotsInstalled, c.snapshots_installed);
  raise(kMessagesDropped, c.messages_dropped);
  raise(kStateDivergences, c.state_divergences);
}

}  // namespace kvstore::node::runtime
