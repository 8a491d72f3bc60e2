// Tunables of a node; the config file's keys and defaults are in config/README.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node/history_retention.hpp"
#include "raft/raft_node.hpp"

namespace kvstore::node {

struct Options {
  raft::Options raft;  // id and ticks
  std::string cluster_name;
  std::string node_info_json;      // an object merged into cluster.status' "node": version, plugins
  std::vector<std::string> peers;  // addresses to ask for admission
  uint64_t read_retry_ms = 350;    // a read index not answered is asked for again
  // A leader's lease is shorter than its followers' promises (raft.vote_promise_ms) by this much.
  uint64_t clock_drift_percent = 10;
  uint64_t revision_waiters_max = 128;  // reads that wait for their min_revision; beyond it BUSY
  uint64_t trailing_entries = 10'000;
  uint64_t trailing_bytes = 256 << 20;
  uint64_t sync_interval_ms = 5'000;
  uint64_t sync_bytes = 64 << 20;
  uint64_t upload_idle_ms = 10 * 60 * 1000;  // an upload idle for so long is swept
  HistoryLimits history;
  uint64_t snapshot_hold_ms =
      10 * 60 * 1000;  // a stream holds log compaction back for at most so long
  uint64_t disk_reserve_bytes = 256 << 20;  // 0: fill the disk to its end
  // Requests that wait here, of all kinds together; beyond it BUSY.
  uint64_t forwarded_requests_max = 8192;
  uint64_t forwarded_bytes_max = 256 << 20;
};

}  // namespace kvstore::node
