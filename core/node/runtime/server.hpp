// A whole node: opens its data directory with the given plugins, runs every thread, stops in order.
//
// Lifecycle: open() .. start() .. stop(); stop() also after a failed start.  One thread drives
// these. Concurrency: on_fatal may come from any of the node's threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <kvstore/abi/api.h>
#include <kvstore/abi/log.h>
#include <kvstore/abi/state.h>
#include <kvstore/abi/transport.h>

#include "base/status.hpp"
#include "node/options.hpp"
#include "node/runtime/engine_limits.hpp"

namespace kvstore::node::runtime {

// One plugin in one role.
struct PluginUse {
  const void* table = nullptr;  // of the role's interface
  const kvs_host* host = nullptr;
  std::string id;       // the plugin's manifest id
  std::string version;  // of the plugin
  std::string path;
  std::string config_json = "{}";
};

struct ApiUse {
  PluginUse plugin;
  std::string name;  // instance name
  std::string listen_address;
  std::string advertise_address;  // empty: the bound address
};

struct ServerOptions {
  std::string version;  // of the program, for status
  std::string name;     // node_id
  std::string data_dir;
  std::string bind_address;
  std::string advertise_address;  // empty: bind_address with the bound port
  bool bootstrap = false;
  bool checked = false;  // plugins behind the checking proxy
  uint64_t tick_ms = 25;
  uint64_t bootstrap_wait_ms = 2'000;  // how long peers are asked before a new cluster is made
  uint64_t lane_queue_bytes_max = 64 << 20;
  uint64_t message_bytes_max = 8 << 20;
  uint32_t snapshot_chunk_timeout_ms = 30'000;
  uint32_t snapshot_finish_timeout_ms = 120'000;  // the receiver installs within it
  uint64_t drain_ms = 2'500;                      // stop(): leadership transfer and open requests
  Options node;                                   // raft.id is filled in
  EngineLimits limits;
  PluginUse log;
  PluginUse state;
  PluginUse transport;
  std::vector<ApiUse> apis;
  const kvs_metrics* metrics = nullptr;  // may be null
  std::function<std::string()> metrics_text;
  // The node cannot go on; the program should stop() and exit with an error.
  std::function<void(const Status&)> on_fatal;
};

class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();

  // Everything up to serving clients; a failure names what is wrong and leaves the directory as it
  // was.
  Status start();
  void stop();
  // What stop() is doing at the moment, as a text of static storage.  Any thread, also a signal
  // handler.
  const char* stop_step() const noexcept;

  // After start(): where it listens, by API instance name.
  std::vector<std::pair<std::string, std::string>> api_addresses() const;
  std::string raft_address() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvstore::node::runtime
