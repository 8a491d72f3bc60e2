#include "node/runtime/server.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "node/node.hpp"
#include "node/runtime/apply_thread.hpp"
#include "node/runtime/clock.hpp"
#include "node/runtime/damage_mark.hpp"
#include "node/runtime/disk_monitor.hpp"
#include "node/runtime/engine.hpp"
#include "node/runtime/identity_file.hpp"
#include "node/runtime/log_thread.hpp"
#include "node/runtime/node_metrics.hpp"
#include "node/runtime/raft_thread.hpp"
#include "node/runtime/recovery.hpp"
#include "node/runtime/restore_file.hpp"
#include "node/runtime/snapshot_streams.hpp"
#include "node/runtime/state_hasher.hpp"
#include "node/runtime/transport_host.hpp"
#include "node/runtime/watch_service.hpp"
#include "plugin/api.hpp"

namespace kvstore::node::runtime {
namespace {

using std::chrono::milliseconds;

bool is_wildcard(const std::string& address) {
  return address.rfind("0.0.0.0:", 0) == 0 || address.rfind("[::]:", 0) == 0 || address[0] == ':' ||
         address.rfind("*:", 0) == 0;
}

std::string port_of(const std::string& address) {
  return address.substr(address.rfind(':') + 1);
}
std::string host_of(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

Status in_role(const char* role, const PluginUse& plugin, const Status& status) {
  return {status.code(), fmt::format("{} ({}): {}", role, plugin.id, status.message())};
}

}  // namespace

struct Server::Impl : ObserverPort {
  explicit Impl(ServerOptions o)
      : options(std::move(o)),
        peer_metrics(options.metrics),
        raft_thread(options.tick_ms),
        host(&raft_thread, &peer_metrics) {}

  Status start();
  Status start_parts();
  void stop();
  void drain();
  void release();

  Status load_identity();
  Status check_engines(const IdentityFile& file) const;
  Status open_transport();
  Status ask_peers_before_bootstrap();
  Status open_stores();
  Status check_state_is_new() const;
  Status finish_first_start();
  Status restore_cluster();
  Status build_node();
  void start_threads();
  Status start_apis();
  void fatal(const Status& why);
  void wait_until(uint64_t limit_ms, const std::function<bool()>& done);
  std::string node_info_json() const;

  void on_view(const NodeView& view) override {
    engine->publish(std::make_shared<const NodeView>(view));
    host.set_identity(view.identity, view.membership);
  }
  void on_local_reads(const LocalReads& reads) override { engine->publish(reads); }
  Status save_identity(const Identity& joined) override {
    IdentityFile changed = file;
    changed.cluster = joined.cluster;
    Status s = write_identity(options.data_dir, changed);
    if (s) file = changed;
    return s;
  }
  plugin::ProxyOptions proxy(const PluginUse& use) const {
    return {options.checked, options.metrics != nullptr, use.id};
  }

  ServerOptions options;
  SystemClock clock;
  DataDirLock lock;
  bool fresh = false;
  IdentityFile file;
  Identity identity;
  std::optional<RestoreFile> restore;  // a new cluster begins from it

  plugin::LogStore log_store;
  plugin::StateStore state_store;
  std::unique_ptr<StateAdapter> adapter;
  std::unique_ptr<kv::StateMachine> machine;
  PeerMetrics peer_metrics;
  RaftThread raft_thread;
  TransportHost host;
  plugin::Transport transport;
  std::unique_ptr<LogThread> log_thread;
  std::unique_ptr<ApplyThread> apply_thread;
  std::unique_ptr<SnapshotStreams> snapshots;
  std::unique_ptr<WatchService> watches;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Node> node;
  std::unique_ptr<NodeMetrics> metrics;
  DiskMonitor disk_monitor;
  StateHasher hasher;
  std::vector<std::unique_ptr<Engine::Frontend>> frontends;
  std::vector<plugin::Api> apis;
  std::vector<std::pair<std::string, std::string>> api_addresses;
  bool threads_running = false;
  std::atomic<bool> failed{false};
  std::atomic<const char*> stop_step{"its beginning"};
  std::atomic<bool> damaged{false};
};

// Whatever part finds the data damaged: the operator is told where, and the way out.
Status Server::Impl::start() {
  Status s = start_parts();
  const std::string advice = rebuild_advice(options.data_dir);
  if (s.code() != Code::kCorrupt || s.message().find(advice) != std::string::npos) return s;
  return {Code::kCorrupt, s.message() + "; " + advice};
}

Status Server::Impl::start_parts() {
  if (is_wildcard(options.advertise_address.empty() ? options.bind_address
                                                    : options.advertise_address)) {
    return {Code::kInvalid,
            fmt::format("bind address {} is no address that others can dial: set advertise_address",
                        options.bind_address)};
  }
  Result<DataDirLock> locked = DataDirLock::acquire(options.data_dir);
  if (!locked) return locked.status();
  lock = std::move(*locked);
  if (Status s = check_not_damaged(options.data_dir); !s) return s;
  if (Status s = load_identity(); !s) return s;
  if (Status s = open_transport(); !s) return s;
  if (Status s = ask_peers_before_bootstrap(); !s) return s;
  if (Status s = open_stores(); !s) return s;
  if (Status s = finish_first_start(); !s) return s;
  if (Status s = build_node(); !s) return s;
  start_threads();
  return start_apis();
}

Status Server::Impl::load_identity() {
  Result<std::optional<IdentityFile>> found = read_identity(options.data_dir);
  if (!found) return found.status();
  fresh = !found->has_value();
  Result<std::optional<RestoreFile>> to_restore =
      find_restore_file(options.data_dir, fresh ? nullptr : &**found, options.bootstrap);
  if (!to_restore) return to_restore.status();
  restore = std::move(*to_restore);
  if (fresh) {
    file.id = make_node_id();
    file.name = options.name;
    file.log_plugin = options.log.id;
    file.state_plugin = options.state.id;
  } else {
    file = **found;
    if (file.name != options.name) {
      return {Code::kInvalid, fmt::format("the data directory {} belongs to node '{}', not '{}'",
                                          options.data_dir, file.name, options.name)};
    }
    if (Status s = check_engines(file); !s) return s;
  }
  identity.cluster = file.cluster;
  identity.id = file.id;
  identity.name = file.name;
  for (const auto& [role, use] :
       {std::pair{"log", &options.log}, std::pair{"state", &options.state},
        std::pair{"transport", &options.transport}}) {
    identity.plugins.push_back(fmt::format("{}={}/{}", role, use->id, use->version));
  }
  return Status::ok();
}

Status Server::Impl::check_engines(const IdentityFile& known) const {
  for (const auto& [role, was, is] :
       {std::tuple{"log", &known.log_plugin, &options.log.id},
        std::tuple{"state", &known.state_plugin, &options.state.id}}) {
    if (*was == *is) continue;
    return {Code::kIncompatible,
            fmt::format("the {} in {} was written by {} and cannot be opened with {}: to change "
                        "the engine, remove "
                        "the node from the cluster, empty the directory and add it again",
                        role, options.data_dir, *was, *is)};
  }
  return Status::ok();
}

Status Server::Impl::open_transport() {
  identity.raft_address =
      options.advertise_address.empty() ? options.bind_address : options.advertise_address;
  Result<std::string> hello = wire::encode_hello(make_hello(identity, {}));
  if (!hello) return hello.status();
  plugin::TransportOptions o;
  o.hello = *hello;
  o.listen_address = options.bind_address;
  o.config_json = options.transport.config_json;
  o.lane_queue_bytes_max = options.lane_queue_bytes_max;
  o.message_bytes_max = options.message_bytes_max;
  Result<plugin::Transport> opened =
      plugin::Transport::open(static_cast<const kvs_transport_api*>(options.transport.table),
                              options.transport.host, o, &host, proxy(options.transport));
  if (!opened) return in_role("transport", options.transport, opened.status());
  transport = std::move(*opened);
  host.attach(&transport);
  if (Status s = transport.start(); !s) return in_role("transport", options.transport, s);
  Result<std::string> bound = transport.bound_address();
  if (!bound) return in_role("transport", options.transport, bound.status());
  if (options.advertise_address.empty()) {
    // The host as configured (it may be a name), the port as bound (it may have been 0).
    identity.raft_address = host_of(options.bind_address) + ":" + port_of(*bound);
  }
  host.set_identity(identity, {});
  return Status::ok();
}

// A second cluster beside an existing one is worse than a start that fails.
Status Server::Impl::ask_peers_before_bootstrap() {
  if (!fresh || !options.bootstrap || options.node.peers.empty()) return Status::ok();
  for (const std::string& address : options.node.peers) {
    host.set_peer(provisional_id(address), address);
  }
  wait_until(options.bootstrap_wait_ms, [this] { return !host.cluster_found().empty(); });
  for (const std::string& address : options.node.peers) host.remove_peer(provisional_id(address));
  std::string found = host.cluster_found();
  if (found.empty()) return Status::ok();
  return {Code::kConflict,
          "a new cluster is not made: " + found + "; to join it, start without --bootstrap"};
}

Status Server::Impl::open_stores() {
  namespace fs = std::filesystem;
  auto storage = [&](const char* role, const PluginUse& use) {
    plugin::StorageOptions o;
    o.data_dir = options.data_dir + "/" + role;
    o.config_json = use.config_json;
    o.create = fresh;
    std::error_code ignored;  // the plugin reports what it cannot use
    if (fresh) fs::create_directories(o.data_dir, ignored);
    return o;
  };
  Result<plugin::LogStore> log =
      plugin::LogStore::open(static_cast<const kvs_log_api*>(options.log.table), options.log.host,
                             storage("log", options.log), proxy(options.log));
  if (!log) return in_role("log", options.log, log.status());
  log_store = std::move(*log);
  Result<plugin::StateStore> state = plugin::StateStore::open(
      static_cast<const kvs_state_api*>(options.state.table), options.state.host,
      storage("state", options.state), proxy(options.state));
  if (!state) return in_role("state", options.state, state.status());
  state_store = std::move(*state);
  adapter = std::make_unique<StateAdapter>(&state_store);
  return Status::ok();
}

Status Server::Impl::check_state_is_new() const {
  Result<std::unique_ptr<kv::View>> view = adapter->open_view();
  if (!view) return view.status();
  Result<kv::AppliedMark> mark = (*view)->applied();
  if (!mark) return mark.status();
  if (mark->index == 0) return Status::ok();
  return {Code::kInvalid,
          fmt::format("{} holds data but no node.json: restore it, or empty the directory",
                      options.data_dir)};
}

Status Server::Impl::finish_first_start() {
  if (!fresh) return Status::ok();
  if (restore) return restore_cluster();
  if (Status s = check_state_is_new(); !s) return s;
  if (options.bootstrap) {
    identity.cluster = file.cluster = make_cluster_id();
    Status s = write_bootstrap(
        &log_store, Membership::bootstrap({identity.id, identity.name, identity.raft_address}));
    if (!s) return s;
    KVS_LOG(kInfo, "server", "new cluster={}", cluster_id_text(identity.cluster));
  } else {
    Result<kvs_log_state> state = log_store.state();
    if (!state) return state.status();
    if (state->last.index != 0) {
      return {Code::kInvalid,
              fmt::format("{} holds data but no node.json: restore it, or empty the directory",
                          options.data_dir)};
    }
  }
  return write_identity(options.data_dir, file);
}

// The order of the steps is that of restore_file.hpp.
Status Server::Impl::restore_cluster() {
  if (Status s = check_restorable(*restore, log_store, adapter.get()); !s) return s;
  identity.cluster = file.cluster = make_cluster_id();
  const raft::Configuration alone =
      Membership::bootstrap({identity.id, identity.name, identity.raft_address});
  if (Status s = restore_state(*restore, &state_store, alone); !s) return s;
  if (Status s = restore_log(*restore, &log_store); !s) return s;
  file.restored_file = restore->fingerprint;
  if (Status s = write_identity(options.data_dir, file); !s) return s;
  KVS_LOG(kInfo, "server", "new cluster={} from a snapshot of cluster={}",
          cluster_id_text(identity.cluster), cluster_id_text(restore->header.cluster));
  return remove_restore_file(options.data_dir);
}

Status Server::Impl::build_node() {
  Result<raft::Restored> restored =
      recover(&log_store, adapter.get(), options.node.raft.entry_cache_bytes);
  if (!restored) return restored.status();
  options.node.raft.id = identity.id;
  if (options.node.raft.seed == 1) options.node.raft.seed = make_node_id().value;
  if (Status s = raft::check_restored(options.node.raft, *restored); !s) return s;
  Result<std::unique_ptr<kv::StateMachine>> opened = kv::StateMachine::open(adapter.get());
  if (!opened) return opened.status();
  machine = std::move(*opened);

  auto on_fatal = [this](const Status& why) { fatal(why); };
  kv::WatchLimits watch_limits;
  watch_limits.lag_bytes_max = options.limits.watch_lag_bytes_max;
  watches = std::make_unique<WatchService>(adapter.get(), machine.get(), options.limits.watches_max,
                                           watch_limits, on_fatal);
  engine =
      std::make_unique<Engine>(Engine::Parts{&raft_thread, adapter.get(), machine.get(),
                                             watches.get(), &clock, options.metrics_text, on_fatal},
                               options.limits);
  log_thread = std::make_unique<LogThread>(
      &log_store,
      LogThread::Callbacks{[this](uint64_t sequence) {
                             raft_thread.post([this, sequence] { node->on_persisted(sequence); });
                           },
                           [this](raft::EntriesLoaded loaded) {
                             raft_thread.post([this, loaded = std::move(loaded)]() mutable {
                               node->on_loaded(std::move(loaded));
                             });
                           },
                           on_fatal});
  apply_thread = std::make_unique<ApplyThread>(
      &state_store, adapter.get(), machine.get(),
      ApplyThread::Callbacks{
          [this](const AppliedReport& r) { raft_thread.post([this, r] { node->on_applied(r); }); },
          [this](uint64_t revision) { watches->advanced(revision); },
          [this](raft::LogId durable) {
            raft_thread.post([this, durable] { node->on_state_synced(durable); });
          },
          [this](std::unique_ptr<kv::View> view) { hasher.add(std::move(view)); }, on_fatal});
  SnapshotStreams::Parts parts;
  parts.raft_thread = &raft_thread;
  parts.transport = &transport;
  parts.state = &state_store;
  parts.adapter = adapter.get();
  parts.apply = apply_thread.get();
  parts.log = log_thread.get();
  parts.self = identity.id;
  parts.chunk_timeout_ms = options.snapshot_chunk_timeout_ms;
  parts.finish_timeout_ms = options.snapshot_finish_timeout_ms;
  parts.cluster = [this] {
    auto view = engine->view();
    return view ? view->cluster : wire::ClusterId{};
  };
  parts.fatal = on_fatal;
  snapshots = std::make_unique<SnapshotStreams>(std::move(parts));

  Start start;
  start.options = options.node;
  start.options.node_info_json = node_info_json();
  start.identity = identity;
  start.restored = std::move(*restored);
  start.applied.index = {machine->applied_index()};
  start.applied.revision = machine->revision();
  start.applied.newest_time_ms = machine->newest_time_ms();
  start.applied.open_uploads = machine->open_uploads();
  start.applied.oldest_upload_ms = machine->oldest_upload_ms();
  start.applied.compacted_revision = machine->compacted_revision();
  start.applied.oldest_change = machine->oldest_change();
  start.applied.history_bytes = machine->history_bytes();
  start.applied.leases = machine->take_lease_changes();
  Ports ports;
  ports.clock = &clock;
  ports.executor = &raft_thread;
  ports.log = log_thread.get();
  ports.state = apply_thread.get();
  ports.transport = &host;
  ports.snapshot = snapshots.get();
  ports.observer = this;
  node = std::make_unique<Node>(std::move(start), ports);
  metrics = std::make_unique<NodeMetrics>(options.metrics, &peer_metrics);
  return node->failed() ? Status(Code::kCorrupt, "the recorded membership is damaged")
                        : Status::ok();
}

void Server::Impl::start_threads() {
  log_thread->start();
  watches->start();
  hasher.start(
      [this](const kv::StateHash& hash) {
        raft_thread.post([this, hash] { node->on_state_hash(hash); });
      },
      [this](const Status& why) { fatal(why); });
  apply_thread->start();
  snapshots->start(node.get());
  host.open_for_peers(node.get(),
                      [this](const kvs_stream_info& info) { return snapshots->accept(info); });
  raft_thread.start(node.get(), [this] { metrics->update(*node, *engine, clock.now_ms()); });
  disk_monitor.start({options.data_dir + "/log", options.data_dir + "/state"},
                     [this](const DiskUse& use) {
                       raft_thread.post([this, use] {
                         metrics->set_storage(use.used_bytes[0], use.used_bytes[1]);
                         node->on_disk_space(use.free_bytes);
                       });
                     });
  threads_running = true;
}

Status Server::Impl::start_apis() {
  for (const ApiUse& use : options.apis) {
    frontends.push_back(std::make_unique<Engine::Frontend>(engine.get(), use.name));
    std::string advertise = use.advertise_address;
    if (advertise.empty() && is_wildcard(use.listen_address)) {
      advertise = host_of(identity.raft_address) + ":" + port_of(use.listen_address);
    }
    Result<plugin::Api> api =
        plugin::Api::open(static_cast<const kvs_api_api*>(use.plugin.table), use.plugin.host,
                          {use.name, use.listen_address, advertise, use.plugin.config_json},
                          frontends.back()->table(), proxy(use.plugin));
    if (!api) return in_role("api", use.plugin, api.status());
    apis.push_back(std::move(*api));
    if (Status s = apis.back().start(); !s) return in_role("api", use.plugin, s);
    Result<std::string> bound = apis.back().bound_address();
    if (!bound) return in_role("api", use.plugin, bound.status());
    if (advertise.empty() || port_of(advertise) == "0") {
      advertise = (advertise.empty() ? host_of(use.listen_address) : host_of(advertise)) + ":" +
                  port_of(*bound);
    }
    api_addresses.emplace_back(use.name, advertise);
  }
  raft_thread.post([this, addresses = api_addresses] { node->set_api_addresses(addresses); });
  return Status::ok();
}

std::string Server::Impl::node_info_json() const {
  nlohmann::ordered_json info;
  info["version"] = options.version;
  auto plugins = nlohmann::ordered_json::array();
  auto add = [&](const std::string& role, const PluginUse& use) {
    plugins.push_back(
        {{"role", role}, {"id", use.id}, {"version", use.version}, {"path", use.path}});
  };
  add("log", options.log);
  add("state", options.state);
  add("transport", options.transport);
  for (const ApiUse& api : options.apis) add("api", api.plugin);
  info["plugins"] = std::move(plugins);
  return info.dump();
}

void Server::Impl::fatal(const Status& why) {
  const bool first = !failed.exchange(true);
  // Nothing on the disk is waited for before the node stops voting and serving.
  if (first) raft_thread.post([this, why] { node->fail(why); });
  if (engine) engine->stop_blobs();
  if (why.code() == Code::kCorrupt && !damaged.exchange(true)) {
    KVS_LOG(kError, "server", "{} is damaged: {}; {}", options.data_dir, why.message(),
            rebuild_advice(options.data_dir));
    mark_damaged(options.data_dir, why);
  }
  if (first && options.on_fatal) options.on_fatal(why);
}

void Server::Impl::wait_until(uint64_t limit_ms, const std::function<bool()>& done) {
  uint64_t end_ms = clock.now_ms() + limit_ms;
  while (!done() && clock.now_ms() < end_ms) std::this_thread::sleep_for(milliseconds(10));
}

void Server::Impl::drain() {
  auto may_stop = std::make_shared<std::atomic<bool>>(false);
  raft_thread.post([this] { node->begin_shutdown(); });
  wait_until(options.drain_ms, [&] {
    raft_thread.post([this, may_stop] { *may_stop = node->may_stop(); });
    return may_stop->load();
  });
  raft_thread.post([this] { node->fail(Status(Code::kClosed, "the node is shutting down")); });
  engine->stop_blobs();
  stop_step = "the end of the watches";
  watches->cancel_all();
  stop_step = "the end of the requests under way";
  wait_until(1'000,
             [this] { return engine->proposals().items() == 0 && engine->reads().items() == 0; });
}

// The order of abi.md §10: hand over and drain, front ends, transport, threads, then what they
// stood on.
void Server::Impl::stop() {
  stop_step = "the handing over of leadership";
  if (threads_running) drain();
  stop_step = "the API plugins";
  for (plugin::Api& api : apis) api.stop();
  stop_step = "the watches";
  if (watches) watches->stop();
  stop_step = "the disk monitor";
  disk_monitor.stop();
  stop_step = "the transport plugin";
  if (snapshots) snapshots->begin_stop();
  if (transport.is_open()) transport.stop();
  stop_step = "the snapshot streams";
  if (snapshots) snapshots->stop();
  stop_step = "the raft thread";
  raft_thread.stop();
  stop_step = "the apply thread";
  if (apply_thread) apply_thread->stop();
  stop_step = "the hashing of the state";
  hasher.stop();
  stop_step = "the log thread";
  if (log_thread) log_thread->stop();
  threads_running = false;
  release();
}

void Server::Impl::release() {
  stop_step = "the end of what the front ends still wait for";
  node.reset();  // ends whatever a stuck thread left over: the front ends must still be there
  stop_step = "the closing of the API plugins";
  apis.clear();
  snapshots.reset();
  apply_thread.reset();
  log_thread.reset();
  frontends.clear();
  engine.reset();
  watches.reset();
  machine.reset();
  adapter.reset();
  stop_step = "the closing of the transport plugin";
  if (transport.is_open()) transport.close();
  stop_step = "the closing of the state store";
  state_store.close();
  stop_step = "the closing of the log store";
  log_store.close();
}

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Server::~Server() {
  stop();
}

Status Server::start() {
  return impl_->start();
}

void Server::stop() {
  impl_->stop();
}

const char* Server::stop_step() const noexcept {
  return impl_->stop_step.load();
}

std::vector<std::pair<std::string, std::string>> Server::api_addresses() const {
  return impl_->api_addresses;
}

std::string Server::raft_address() const {
  return impl_->identity.raft_address;
}

}  // namespace kvstore::node::runtime
