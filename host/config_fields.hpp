// The one list of the config's scalar keys, walked to read and to write JSON.  Internal to
// config.cpp.
#pragma once

#include "host/config.hpp"

namespace kvstore::host {

// Calls visit(key, member) for each.
template <typename Visit, typename Raft>
void raft_fields(Visit&& visit, Raft& c) {
  visit("heartbeat_ms", c.heartbeat_ms);
  visit("election_timeout_ms", c.election_timeout_ms);
  visit("lease_reads", c.lease_reads);
  visit("clock_drift_percent", c.clock_drift_percent);
  visit("disk_stall_ms", c.disk_stall_ms);
  visit("append_message_bytes_max", c.append_message_bytes_max);
  visit("inflight_messages_max", c.inflight_messages_max);
  visit("inflight_bytes_max", c.inflight_bytes_max);
  visit("uncommitted_bytes_max", c.uncommitted_bytes_max);
  visit("entry_cache_bytes", c.entry_cache_bytes);
  visit("trailing_entries", c.trailing_entries);
  visit("trailing_bytes", c.trailing_bytes);
  visit("lane_queue_bytes_max", c.lane_queue_bytes_max);
}

template <typename Visit, typename Sync>
void state_sync_fields(Visit&& visit, Sync& c) {
  visit("interval_ms", c.interval_ms);
  visit("bytes", c.bytes);
}

template <typename Visit, typename Limits>
void limits_fields(Visit&& visit, Limits& c) {
  visit("request_timeout_ms", c.request_timeout_ms);
  visit("key_bytes_max", c.key_bytes_max);
  visit("value_bytes_max", c.value_bytes_max);
  visit("txn_operations_max", c.txn_operations_max);
  visit("txn_bytes_max", c.txn_bytes_max);
  visit("proposals_max", c.proposals_max);
  visit("proposal_bytes_max", c.proposal_bytes_max);
  visit("reads_max", c.reads_max);
  visit("readers_max", c.readers_max);
  visit("reader_age_ms_max", c.reader_age_ms_max);
  visit("uploads_max", c.uploads_max);
  visit("upload_idle_ms", c.upload_idle_ms);
  visit("watches_max", c.watches_max);
  visit("watch_lag_bytes_max", c.watch_lag_bytes_max);
  visit("forwarded_requests_max", c.forwarded_requests_max);
  visit("forwarded_bytes_max", c.forwarded_bytes_max);
  visit("disk_reserve_bytes", c.disk_reserve_bytes);
}

template <typename Visit, typename Snapshot>
void snapshot_fields(Visit&& visit, Snapshot& c) {
  visit("hold_ms", c.hold_ms);
  visit("chunk_timeout_ms", c.chunk_timeout_ms);
  visit("finish_timeout_ms", c.finish_timeout_ms);
  visit("downloads_max", c.downloads_max);
  visit("download_idle_ms", c.download_idle_ms);
}

template <typename Visit, typename History>
void history_fields(Visit&& visit, History& c) {
  visit("keep_revisions", c.keep_revisions);
  visit("keep_ms", c.keep_ms);
  visit("bytes_max", c.bytes_max);
}

template <typename Visit, typename Top>
void top_fields(Visit&& visit, Top& c) {
  visit("node_id", c.node_id);
  visit("cluster_name", c.cluster_name);
  visit("bind_address", c.bind_address);
  visit("advertise_address", c.advertise_address);
  visit("data_dir", c.data_dir);
  visit("bootstrap", c.bootstrap);
  visit("peers", c.peers);
  visit("plugin_dir", c.plugin_dir);
  visit("checked", c.checked);
  visit("log_level", c.log_level);
}

template <typename Visit, typename Api>
void api_fields(Visit&& visit, Api& c) {
  visit("name", c.name);
  visit("plugin", c.plugin);
  visit("listen", c.listen);
  visit("advertise", c.advertise);
}

}  // namespace kvstore::host
