#include "node/runtime/node_metrics.hpp"

#include <algorithm>

namespace kvstore::node::runtime {
namespace {

struct Series {
  const char* name;
  const char* help;
  const char* labels = "";
};

constexpr const char* kRefusals = "kvstore_lease_refusals_total";
constexpr const char* kRefusalsHelp =
    "Calls for leases, and puts with a lease or TTL, that were refused.";

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
    {"kvstore_engine_watches_limit", "Watches open at a time; beyond it 429."},
    {"kvstore_engine_proposals_limit", "Writes accepted at a time; beyond it 429."},
    {"kvstore_engine_proposal_bytes_limit", "Bytes of writes accepted at a time; beyond it 429."},
    {"kvstore_engine_reads_waiting_limit", "Reads and calls waiting at a time; beyond it 429."},
    {"kvstore_engine_readers_limit", "Readers open at a time; beyond it 429."},
    {"kvstore_engine_uploads_limit", "Large values received at a time; beyond it 429."},
    {"kvstore_engine_forwarded_requests", "Requests of other nodes being served here."},
    {"kvstore_engine_forwarded_requests_limit", "Requests of other nodes served at a time."},
    {"kvstore_disk_space_low",
     "1 while this node's disk, or for a leader a member's, is nearly full."},
    {"kvstore_raft_lease_held", "1 while this leader may answer lease reads by itself."},
    {"kvstore_leases", "Leases that live, without the TTLs of keys."},
    {"kvstore_ttl_keys", "Keys with a TTL of their own."},
    {"kvstore_leases_limit", "Leases and keys with a TTL, together, at most; beyond it 429."},
    {"kvstore_disk_free_bytes", "Free space on the disk of the data directory."},
    {"kvstore_storage_bytes", "What the files of the log and of the state take.", "part=\"log\""},
    {"kvstore_storage_bytes", "What the files of the log and of the state take.", "part=\"state\""},
};
constexpr Series kCounters[] = {
    {"kvstore_engine_proposals_total", "Writes submitted to this node."},
    {"kvstore_engine_reads_total", "Reads that needed confirmation."},
    {"kvstore_engine_lease_reads_total", "Reads that the node served by its lease."},
    {"kvstore_engine_too_stale_reads_total", "Stale reads refused because of their age."},
    {"kvstore_engine_forwarded_total", "Requests forwarded to the leader."},
    {"kvstore_raft_leader_changes_total", "Changes of the known leader."},
    {"kvstore_snapshots_sent_total", "Snapshots sent to other nodes."},
    {"kvstore_snapshots_installed_total", "Snapshots installed here."},
    {"kvstore_messages_dropped_total", "Messages dropped as malformed or of another cluster."},
    {"kvstore_state_divergences_total", "Comparisons that found members with another state."},
    {"kvstore_leases_granted_total", "Leader: leases granted."},
    {"kvstore_leases_ended_total", "Leader: leases and TTLs that ended because of their time."},
    {"kvstore_leases_revoked_total", "Leader: leases revoked."},
    {"kvstore_lease_keepalives_total", "Leader: keep-alives of leases."},
    {kRefusals, kRefusalsHelp, R"(reason="not_found")"},
    {kRefusals, kRefusalsHelp, R"(reason="exists")"},
    {kRefusals, kRefusalsHelp, R"(reason="too_many")"},
    {kRefusals, kRefusalsHelp, R"(reason="invalid")"},
};

}  // namespace

NodeMetrics::NodeMetrics(const kvs_metrics* metrics, PeerMetrics* peers)
    : metrics_(metrics), peers_(peers) {
  static_assert(std::size(kGauges) == kGaugeCount && std::size(kCounters) == kCounterCount);
  if (metrics_ == nullptr) return;
  for (size_t i = 0; i < kGaugeCount; ++i) {
    kvs_status s = metrics_->series(metrics_->ctx, KVS_METRIC_GAUGE, kGauges[i].name,
                                    kGauges[i].help, kGauges[i].labels, &gauges_[i]);
    KVS_ASSERT(s == KVS_OK);
  }
  for (size_t i = 0; i < kCounterCount; ++i) {
    kvs_status s = metrics_->series(metrics_->ctx, KVS_METRIC_COUNTER, kCounters[i].name,
                                    kCounters[i].help, kCounters[i].labels, &counters_[i]);
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

void NodeMetrics::set_storage(uint64_t log_bytes, uint64_t state_bytes) {
  if (metrics_ == nullptr) return;
  set(kLogStorage, log_bytes);
  set(kStateStorage, state_bytes);
}

void NodeMetrics::update_peers(const Node& node) {
  const raft::RaftNode& raft = node.raft();
  for (const MemberInfo& member : node.membership().members()) {
    if (member.id == node.identity().id) continue;
    peers_->set_name(member.id, member.name);
    if (raft.role() != raft::Role::kLeader) peers_->set_progress(member.id, 0, 0, false);
  }
  const uint64_t last = raft.log().last().index.value;
  for (const raft::PeerStatus& peer : raft.peers()) {
    peers_->set_progress(peer.id, peer.match.value, last - std::min(last, peer.match.value),
                         peer.recently_active && !peer.reverted);
  }
}

void NodeMetrics::update_leases(const Node& node, Engine& engine) {
  const LeaseClock& clock = node.lease_clock();
  set(kLeases, clock.size() - clock.own_count());
  set(kTtlKeys, clock.own_count());
  set(kLeasesLimit, kv::kLeasesMax);
  const Counters& c = node.counters();
  raise(kLeasesGranted, c.leases_granted);
  raise(kLeasesEnded, clock.ended());
  raise(kLeasesRevoked, c.leases_revoked);
  raise(kLeaseKeepalives, c.lease_keepalives);
  raise(kLeaseRefusedNotFound, c.lease_refusals.not_found + engine.puts_without_lease());
  raise(kLeaseRefusedExists, c.lease_refusals.exists);
  raise(kLeaseRefusedTooMany, c.lease_refusals.too_many + engine.puts_above_leases());
  raise(kLeaseRefusedInvalid, c.lease_refusals.invalid);
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
  const EngineLimits& limits = engine.limits();
  set(kProposalsLimit, limits.proposals_max);
  set(kProposalBytesLimit, limits.proposal_bytes_max);
  set(kReadsLimit, limits.reads_max);
  set(kReadersLimit, limits.readers_max);
  set(kUploadsLimit, limits.uploads_max);
  set(kWatchesLimit, limits.watches_max);
  set(kForwardedInside, node.forwarded_requests());
  set(kForwardedLimit, node.options().forwarded_requests_max);
  set(kMembersLowOnSpace, raft.any_space_low() ? 1 : 0);
  set(kLeaseHeld, node.lease_until_ms() > now_ms ? 1 : 0);
  update_peers(node);
  update_leases(node, engine);
  if (node.free_bytes() != UINT64_MAX) set(kDiskFree, node.free_bytes());
  const Counters& c = node.counters();
  raise(kProposals, c.proposals);
  raise(kReads, c.reads);
  raise(kLeaseReads, c.lease_reads);
  raise(kTooStaleReads, c.too_stale_reads);
  raise(kForwarded, c.forwarded);
  raise(kLeaderChanges, c.leader_changes);
  raise(kSnapshotsSent, c.snapshots_sent);
  raise(kSnapshotsInstalled, c.snapshots_installed);
  raise(kMessagesDropped, c.messages_dropped);
  raise(kStateDivergences, c.state_divergences);
}

}  // namespace kvstore::node::runtime
