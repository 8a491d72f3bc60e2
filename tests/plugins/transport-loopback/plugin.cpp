// The C table, the manifest and the instance.
#include <cstring>
#include <list>
#include <map>
#include <shared_mutex>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/options.hpp>
#include <kvstore/sdk/plugin.hpp>
#include <kvstore/sdk/slice.hpp>

#include "peer.hpp"
#include "stream.hpp"

namespace sdk = kvstore::sdk;
using kvstore::loopback::Endpoint;
using kvstore::loopback::kHelloBytesMax;
using kvstore::loopback::Peer;
using kvstore::loopback::Shared;
using kvstore::loopback::TxStream;

struct kvs_tx_stream {
  kvs_transport* transport;
  std::shared_ptr<TxStream> stream;
};

struct kvs_transport {
  explicit kvs_transport(const kvs_host* host) : shared{.host = sdk::Host(host)} {}

  Shared shared;
  std::string listen_address;
  std::mutex control_mutex;  // start, stop, peer_set, peer_remove
  mutable std::shared_mutex mutex;
  bool running = false;
  bool stopped = false;
  std::map<kvs_node_id, std::shared_ptr<Peer>> peers;
  std::list<std::shared_ptr<TxStream>> streams;

  bool is(bool kvs_transport::*state) const {
    std::shared_lock lock(mutex);
    return this->*state;
  }
  std::shared_ptr<Peer> find(kvs_node_id id) const {
    std::shared_lock lock(mutex);
    auto it = peers.find(id);
    return it == peers.end() ? nullptr : it->second;
  }
};

namespace {

std::string checked_hello(const kvs_slice& hello) {
  if (hello.len > kHelloBytesMax) throw sdk::Error(KVS_E_INVALID, "hello: larger than 4 KiB");
  return std::string(sdk::view(hello));
}

kvs_status open_transport(const kvs_host* host, const kvs_transport_options* opt,
                          kvs_transport** out, kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    kvs_transport_options options = sdk::copy_options(opt);
    if (options.events == nullptr) throw sdk::Error(KVS_E_INVALID, "events is NULL");
    sdk::Options(options.config_json).reject_unknown();
    auto t = std::make_unique<kvs_transport>(host);
    t->shared.events = sdk::copy_options(options.events);
    t->shared.lane_queue_bytes_max = options.lane_queue_bytes_max;
    t->shared.message_bytes_max = options.message_bytes_max;
    t->shared.self = std::make_shared<Endpoint>(t->shared.events, checked_hello(options.hello));
    t->listen_address = sdk::view(options.listen_address);
    *out = t.release();
  });
}

kvs_status start(kvs_transport* t, kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    std::lock_guard control(t->control_mutex);
    if (t->running || t->stopped)
      throw sdk::Error(KVS_E_INVALID, "start: called twice or after stop");
    Endpoint::listen(t->shared.self, t->listen_address);
    std::unique_lock lock(t->mutex);
    t->running = true;
    for (auto& [id, peer] : t->peers) peer->start();
  });
}

void stop(kvs_transport* t) noexcept {
  std::lock_guard control(t->control_mutex);
  std::map<kvs_node_id, std::shared_ptr<Peer>> peers;
  std::list<std::shared_ptr<TxStream>> streams;
  {
    std::unique_lock lock(t->mutex);
    t->running = false;
    t->stopped = true;
    peers.swap(t->peers);
    streams.swap(t->streams);
  }
  for (auto& stream : streams) stream->cancel();
  for (auto& [id, peer] : peers) peer->close();
  t->shared.self->close();
  for (auto& stream : streams) stream->wait_ended();
}

void close_transport(kvs_transport* t) noexcept {
  stop(t);
  delete t;
}

const void* get_extension(kvs_transport*, const char*) noexcept {
  return nullptr;
}

kvs_status set_hello(kvs_transport* t, const kvs_slice* hello) noexcept {
  return sdk::guard(nullptr, [&] { t->shared.self->set_hello(checked_hello(*hello)); });
}

kvs_status bound_address(kvs_transport* t, kvs_slice_sink sink, void* ctx) noexcept {
  if (!t->is(&kvs_transport::running)) return KVS_E_CLOSED;
  kvs_slice s = sdk::slice(t->shared.self->address());
  return sink(ctx, &s);
}

kvs_status stats(kvs_transport* t, kvs_slice_sink json, void* ctx) noexcept {
  return sdk::guard(nullptr, [&] {
    std::shared_lock lock(t->mutex);
    std::string text = "{\"peers\":" + std::to_string(t->peers.size()) + "}";
    kvs_slice s = sdk::slice(text);
    return json(ctx, &s);
  });
}

kvs_status peer_set(kvs_transport* t, const kvs_peer* p, kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    kvs_peer peer = sdk::copy_options(p);
    std::string address(sdk::view(peer.address));
    if (peer.id == 0) throw sdk::Error(KVS_E_INVALID, "0 is never a valid node id");
    if (address.rfind(':') == std::string::npos) {
      throw sdk::Error(KVS_E_INVALID, "address '" + address + "': no port");
    }
    std::lock_guard control(t->control_mutex);
    if (t->stopped) throw sdk::Error(KVS_E_CLOSED, "the transport was stopped");
    if (auto known = t->find(peer.id)) return known->set_address(address);
    auto added = std::make_shared<Peer>(t->shared, peer.id, address);
    if (t->running) added->start();
    std::unique_lock lock(t->mutex);
    t->peers.emplace(peer.id, std::move(added));
  });
}

kvs_status peer_remove(kvs_transport* t, kvs_node_id id, kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    std::lock_guard control(t->control_mutex);
    if (t->stopped) throw sdk::Error(KVS_E_CLOSED, "the transport was stopped");
    std::shared_ptr<Peer> peer = t->find(id);
    if (peer == nullptr) return;
    {
      std::unique_lock lock(t->mutex);
      t->peers.erase(id);
    }
    peer->close();
  });
}

kvs_status send(kvs_transport* t, kvs_node_id to, uint32_t lane, const kvs_tx_message* m,
                uint32_t n, uint32_t* accepted, kvs_error* err) noexcept {
  *accepted = 0;
  return sdk::guard(err, [&] {
    if (lane >= KVS_LANE_COUNT) return sdk::fail(err, KVS_E_INVALID, "there is no such lane");
    if (t->is(&kvs_transport::stopped)) return sdk::fail(err, KVS_E_CLOSED, "stopped");
    std::shared_ptr<Peer> peer = t->find(to);
    if (peer == nullptr) return sdk::fail(err, KVS_E_UNREACHABLE, "the peer is not known");
    return peer->send(lane, m, n, accepted, err);
  });
}

kvs_status stream_open(kvs_transport* t, kvs_node_id to, const kvs_slice* header,
                       uint64_t total_bytes, uint32_t timeout_ms, kvs_tx_stream** out,
                       kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    if (header->len > kHelloBytesMax) return sdk::fail(err, KVS_E_INVALID, "header: above 4 KiB");
    std::shared_ptr<Peer> peer = t->find(to);
    std::shared_ptr<Endpoint> remote = peer == nullptr ? nullptr : Endpoint::find(peer->address());
    if (remote == nullptr) return sdk::fail(err, KVS_E_UNREACHABLE, "nobody listens there");
    auto stream = std::make_shared<TxStream>(t->shared, remote);
    {
      std::unique_lock lock(t->mutex);
      if (!t->running) return sdk::fail(err, KVS_E_CLOSED, "the transport is not running");
      t->streams.remove_if([](const auto& s) { return s.use_count() == 1 && s->ended(); });
      t->streams.push_back(stream);
    }
    kvs_status s = stream->open(to, std::string(sdk::view(*header)), total_bytes, timeout_ms, err);
    if (s == KVS_OK) *out = new kvs_tx_stream{t, std::move(stream)};
    return s;
  });
}

kvs_status stream_write(kvs_tx_stream* st, const kvs_slice* chunk, uint32_t timeout_ms,
                        kvs_error* err) noexcept {
  return sdk::guard(
      err, [&] { return st->stream->write(std::string(sdk::view(*chunk)), timeout_ms, err); });
}

void stream_abort(kvs_tx_stream* st) noexcept {
  st->stream->leave();
  delete st;
}

kvs_status stream_finish(kvs_tx_stream* st, uint32_t timeout_ms, kvs_error* err) noexcept {
  kvs_status s = sdk::guard(err, [&] { return st->stream->finish(timeout_ms, err); });
  stream_abort(st);
  return s;
}

const kvs_transport_api kApi = {
    sizeof(kvs_transport_api),
    0,
    open_transport,
    start,
    stop,
    close_transport,
    get_extension,
    set_hello,
    bound_address,
    stats,
    peer_set,
    peer_remove,
    send,
    stream_open,
    stream_write,
    stream_finish,
    stream_abort,
};

const void* get_interface(const char* id) noexcept {
  return std::strcmp(id, KVS_TRANSPORT_ID) == 0 ? &kApi : nullptr;
}

const kvs_interface_ref kInterfaces[] = {{KVS_TRANSPORT_ID, 0, 0}};

const kvs_plugin_manifest kManifest = [] {
  auto m = sdk::manifest("kvstore.transport-loopback", "0.1.0", "Peer messages inside one process",
                         kInterfaces, get_interface);
  m.config_schema = R"({"type": "object", "additionalProperties": false})";
  return m;
}();

}  // namespace

KVS_PLUGIN_ENTRY(kManifest)
