#include "host/daemon/server_options.hpp"

#include <algorithm>

namespace kvstore::host {
namespace {

using node::runtime::PluginUse;
using node::runtime::ServerOptions;

uint64_t ticks(uint64_t ms, uint64_t tick_ms) {
  return std::max<uint64_t>(1, ms / tick_ms);
}

void set_raft(const Config& config, ServerOptions* out) {
  const RaftConfig& c = config.raft;
  // A quarter of a heartbeat is fine enough to randomise elections and cheap when idle.
  out->tick_ms = std::max<uint64_t>(1, c.heartbeat_ms / 4);
  raft::Options& raft = out->node.raft;
  raft.heartbeat_ticks = static_cast<uint32_t>(ticks(c.heartbeat_ms, out->tick_ms));
  raft.election_ticks = static_cast<uint32_t>(ticks(c.election_timeout_ms, out->tick_ms));
  raft.disk_stall_ticks = static_cast<uint32_t>(ticks(c.disk_stall_ms, out->tick_ms));
  // Two ticks less: the first after an answer may come at once, and each a little late.
  if (c.lease_reads) raft.vote_promise_ms = (raft.election_ticks - 2) * out->tick_ms;
  out->node.clock_drift_percent = c.clock_drift_percent;
  raft.append_bytes_max = c.append_message_bytes_max;
  raft.inflight_messages_max = static_cast<uint32_t>(c.inflight_messages_max);
  raft.inflight_bytes_max = c.inflight_bytes_max;
  raft.uncommitted_bytes_max = c.uncommitted_bytes_max;
  raft.entry_cache_bytes = c.entry_cache_bytes;
  out->node.read_retry_ms = std::max<uint64_t>(50, c.election_timeout_ms / 2);
  out->node.trailing_entries = c.trailing_entries;
  out->node.trailing_bytes = c.trailing_bytes;
  out->lane_queue_bytes_max = c.lane_queue_bytes_max;
  // One entry above the append limit travels alone: a part of a large value with its headers.
  out->message_bytes_max = std::max<uint64_t>(c.append_message_bytes_max, 1 << 20) + (1 << 20);
}

void set_limits(const Config& config, ServerOptions* out) {
  const LimitsConfig& c = config.limits;
  node::runtime::EngineLimits& limits = out->limits;
  limits.request_timeout_ms = c.request_timeout_ms;
  limits.key_bytes_max = c.key_bytes_max;
  limits.value_bytes_max = c.value_bytes_max;
  limits.txn_ops_max = c.txn_operations_max;
  limits.txn_bytes_max = c.txn_bytes_max;
  limits.proposals_max = c.proposals_max;
  limits.proposal_bytes_max = c.proposal_bytes_max;
  limits.reads_max = c.reads_max;
  limits.readers_max = c.readers_max;
  limits.reader_age_ms_max = c.reader_age_ms_max;
  limits.uploads_max = c.uploads_max;
  limits.watches_max = c.watches_max;
  limits.watch_lag_bytes_max = c.watch_lag_bytes_max;
  out->node.upload_idle_ms = c.upload_idle_ms;
  out->node.forwarded_requests_max = c.forwarded_requests_max;
  out->node.forwarded_bytes_max = c.forwarded_bytes_max;
  out->node.disk_reserve_bytes = c.disk_reserve_bytes;
  out->node.sync_interval_ms = config.state_sync.interval_ms;
  out->node.sync_bytes = config.state_sync.bytes;
  out->node.snapshot_hold_ms = config.snapshot.hold_ms;
  out->node.history = {config.history.keep_revisions, config.history.keep_ms,
                       config.history.bytes_max};
  out->snapshot_chunk_timeout_ms = static_cast<uint32_t>(config.snapshot.chunk_timeout_ms);
  limits.blobs_max = config.snapshot.downloads_max;
  limits.blob_idle_ms_max = config.snapshot.download_idle_ms;
  out->snapshot_finish_timeout_ms = static_cast<uint32_t>(config.snapshot.finish_timeout_ms);
}

// Completes a use with what the manifest says.
Result<PluginUse> describe(const std::string& plugin, const std::string& instance,
                           const void* table, const std::string& options_json, Loader* loader,
                           Services* services) {
  Result<PluginInfo> info = loader->inspect(plugin);
  if (!info) return info.status();
  PluginUse use;
  use.table = table;
  use.host = services->make(instance);
  use.id = info->id;
  use.version = info->version;
  use.path = info->path;
  use.config_json = options_json;
  return use;
}

}  // namespace

Result<ServerOptions> make_server_options(const Config& config, Loader* loader, Services* services,
                                          Metrics* metrics, const std::string& version) {
  ServerOptions out;
  out.version = version;
  out.name = config.node_id;
  out.data_dir = config.data_dir;
  out.bind_address = config.bind_address;
  out.advertise_address = config.advertise_address;
  out.bootstrap = config.bootstrap;
  out.checked = config.checked;
  out.node.cluster_name = config.cluster_name;
  out.node.peers = config.peers;
  out.metrics = metrics->table();
  out.metrics_text = [metrics] { return metrics->expose(); };
  set_raft(config, &out);
  set_limits(config, &out);

  auto use = [&](const PluginChoice& choice, auto load, const char* pointer,
                 PluginUse* into) -> Status {
    auto table = (loader->*load)(choice.plugin, choice.options_json, pointer);
    if (!table) return table.status();
    Result<PluginUse> described =
        describe(choice.plugin, choice.plugin, *table, choice.options_json, loader, services);
    if (!described) return described.status();
    *into = std::move(*described);
    return Status::ok();
  };
  if (Status s = use(config.log, &Loader::log, "/log/options", &out.log); !s) return s;
  if (Status s = use(config.state, &Loader::state, "/state/options", &out.state); !s) return s;
  Status s = use(config.transport, &Loader::transport, "/transport/options", &out.transport);
  if (!s) return s;
  for (size_t i = 0; i < config.apis.size(); ++i) {
    const ApiChoice& choice = config.apis[i];
    std::string pointer = "/apis/" + std::to_string(i) + "/options";
    auto table = loader->api(choice.plugin, choice.options_json, pointer);
    if (!table) return table.status();
    Result<PluginUse> described =
        describe(choice.plugin, choice.name, *table, choice.options_json, loader, services);
    if (!described) return described.status();
    out.apis.push_back({std::move(*described), choice.name, choice.listen, choice.advertise});
  }
  return out;
}

}  // namespace kvstore::host
