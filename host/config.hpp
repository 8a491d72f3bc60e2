// The daemon's configuration: a plain struct with the defaults, read from JSON that is checked
// against config/schema.json (embedded into the program).  Every key is described in
// config/README.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.hpp"

namespace kvstore::host {

// A plugin for one role.
struct PluginChoice {
  std::string plugin;               // a name in plugin_dir, or a path with a slash
  std::string options_json = "{}";  // passed to the plugin verbatim
};

struct ApiChoice {
  std::string name;  // unique; never empty in a finished Config
  std::string plugin;
  std::string listen;
  std::string advertise;  // empty: listen
  std::string options_json = "{}";
};

struct RaftConfig {
  uint64_t heartbeat_ms = 100;
  uint64_t election_timeout_ms = 700;
  bool lease_reads = false;
  uint64_t clock_drift_percent = 10;
  uint64_t disk_stall_ms = 2'000;
  uint64_t append_message_bytes_max = 1 << 20;
  uint64_t inflight_messages_max = 256;
  uint64_t inflight_bytes_max = 16 << 20;
  uint64_t uncommitted_bytes_max = 256 << 20;
  uint64_t entry_cache_bytes = 64 << 20;
  uint64_t trailing_entries = 10'000;
  uint64_t trailing_bytes = 256 << 20;
  uint64_t lane_queue_bytes_max = 64 << 20;
};

struct StateSyncConfig {
  uint64_t interval_ms = 5'000;
  uint64_t bytes = 64 << 20;
};

struct LimitsConfig {
  uint64_t request_timeout_ms = 5'000;
  uint64_t key_bytes_max = 4'096;
  uint64_t value_bytes_max = 64 << 20;
  uint64_t txn_operations_max = 128;
  uint64_t txn_bytes_max = 1 << 20;
  uint64_t proposals_max = 8'192;
  uint64_t proposal_bytes_max = 256 << 20;
  uint64_t reads_max = 16'384;
  uint64_t readers_max = 4'096;
  uint64_t reader_age_ms_max = 600'000;
  uint64_t uploads_max = 64;
  uint64_t upload_idle_ms = 600'000;
  uint64_t watches_max = 10'000;
  uint64_t watch_lag_bytes_max = 4 << 20;
  uint64_t forwarded_requests_max = 8'192;
  uint64_t forwarded_bytes_max = 256 << 20;
  uint64_t disk_reserve_bytes = 256 << 20;
};

struct SnapshotConfig {
  uint64_t hold_ms = 600'000;
  uint64_t chunk_timeout_ms = 30'000;
  uint64_t finish_timeout_ms = 120'000;
  uint64_t downloads_max = 4;
  uint64_t download_idle_ms = 60'000;
};

struct HistoryConfig {
  uint64_t keep_revisions = 10'000;
  uint64_t keep_ms = 3'600'000;
  uint64_t bytes_max = 256 << 20;
};

struct Config {
  std::string node_id;
  std::string cluster_name = "kvstore";
  std::string bind_address = "127.0.0.1:7001";
  std::string advertise_address;  // empty: bind_address
  std::string data_dir;           // finished: never empty
  bool bootstrap = false;
  std::vector<std::string> peers;
  std::string plugin_dir;  // finished: never empty
  bool checked = false;
  std::string log_level = "info";
  PluginChoice log{"storage-leveldb"};
  PluginChoice state{"storage-leveldb"};
  PluginChoice transport{"transport-thrift"};
  std::vector<ApiChoice> apis{{"api-http", "api-http", "127.0.0.1:8081", "", "{}"}};
  RaftConfig raft;
  StateSyncConfig state_sync;
  LimitsConfig limits;
  SnapshotConfig snapshot;
  HistoryConfig history;

  // Things that work but that an operator should know, one line each.
  std::vector<std::string> warnings;
};

// Collects settings from several sources, later ones winning, and makes a Config of them.  Each
// source is checked by itself, so that an error names the one it came from.
//
//   ConfigBuilder b;
//   b.add_file("node1.json"); b.set("--bind-address", "bind_address", "\"10.0.0.1:7001\"");
//   Result<Config> config = b.finish("/usr/bin");
//
// Errors are kInvalid with one line "source: /json/pointer: what is wrong; remedy".
class ConfigBuilder {
 public:
  ConfigBuilder();
  ~ConfigBuilder();
  ConfigBuilder(const ConfigBuilder&) = delete;
  ConfigBuilder& operator=(const ConfigBuilder&) = delete;

  // kNotFound or kIo when the file cannot be read.
  Status add_file(const std::string& path);
  Status add_text(const std::string& source, std::string_view json);
  // Sets one key, a dotted path ("raft.heartbeat_ms", "apis.0.listen").  `value` is JSON; text that
  // is not is taken as a string.
  Status set(const std::string& source, const std::string& path, std::string_view value);
  // Replaces the port of the first front end with the plugin "api-http", or adds one on loopback.
  Status set_http_port(const std::string& source, uint16_t port);

  // `program_dir` is the directory of the executable, from which the default plugin_dir derives.
  Result<Config> finish(const std::string& program_dir) const;

 private:
  struct Document;
  Document* document_;
};

// The whole configuration as JSON, indented, with every key: what --print-config shows.
std::string to_json(const Config& config);

// The text of config/schema.json.
std::string_view config_schema();

// Checks JSON against a plugin's schema.  `where` is put in front of errors ("node1.json:
// /log/options"). kInternal when the schema itself is unusable.
Status validate_options(std::string_view schema, std::string_view options_json,
                        const std::string& where);

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
};
// "host:port" or "[v6]:port"; an empty host is refused.
Result<HostPort> parse_address(std::string_view text);

}  // namespace kvstore::host
