// The C table and the manifest.
#include <atomic>
#include <cstring>
#include <memory>
#include <string>

#include <kvstore/abi/plugin.h>
#include <kvstore/abi/transport.h>
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/plugin.hpp>
#include <kvstore/sdk/slice.hpp>

#include <thrift/Thrift.h>
#include <thrift/thrift-config.h>

#include "transport.hpp"

using kvstore::transport_thrift::kConfigSchema;
using kvstore::transport_thrift::Transport;
using kvstore::transport_thrift::TxStream;
namespace sdk = kvstore::sdk;

struct kvs_transport {
  kvs_transport(const kvs_host* host, const kvs_transport_options& options) : impl(host, options) {}
  Transport impl;
};

struct kvs_tx_stream {
  kvs_transport* transport;
  std::unique_ptr<TxStream> impl;
};

namespace {

bool complete(const kvs_transport_events* e) {
  return e != nullptr && KVS_HAS(e, on_messages) && KVS_HAS(e, on_peer) && KVS_HAS(e, on_hello) &&
         KVS_HAS(e, on_stream);
}

kvs_status transport_open(const kvs_host* host, const kvs_transport_options* opt,
                          kvs_transport** out, kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    kvs_transport_options options = sdk::copy_options(opt);
    if (!complete(options.events)) throw sdk::Error(KVS_E_INVALID, "events: a callback is missing");
    *out = new kvs_transport(host, options);
  });
}

kvs_status transport_start(kvs_transport* t, kvs_error* err) noexcept {
  return sdk::guard(err, [&] { t->impl.start(); });
}

void transport_stop(kvs_transport* t) noexcept {
  t->impl.stop();
}

void transport_close(kvs_transport* t) noexcept {
  delete t;
}

const void* transport_get_extension(kvs_transport*, const char*) noexcept {
  return nullptr;
}

kvs_status transport_set_hello(kvs_transport* t, const kvs_slice* hello) noexcept {
  return sdk::guard(nullptr, [&] { t->impl.context().set_hello(*hello); });
}

kvs_status give(const std::string& text, kvs_slice_sink sink, void* ctx) {
  kvs_slice s = sdk::slice(text);
  return sink(ctx, &s);
}

kvs_status transport_bound_address(kvs_transport* t, kvs_slice_sink sink, void* ctx) noexcept {
  return sdk::guard(nullptr, [&] { return give(t->impl.bound_address(), sink, ctx); });
}

kvs_status transport_stats(kvs_transport* t, kvs_slice_sink json, void* ctx) noexcept {
  return sdk::guard(nullptr, [&] { return give(t->impl.stats(), json, ctx); });
}

kvs_status transport_peer_set(kvs_transport* t, const kvs_peer* p, kvs_error* err) noexcept {
  return sdk::guard(err, [&] { t->impl.peer_set(sdk::copy_options(p)); });
}

kvs_status transport_peer_remove(kvs_transport* t, kvs_node_id id, kvs_error* err) noexcept {
  return sdk::guard(err, [&] { t->impl.peer_remove(id); });
}

kvs_status transport_send(kvs_transport* t, kvs_node_id to, uint32_t lane, const kvs_tx_message* m,
                          uint32_t n, uint32_t* accepted, kvs_error* err) noexcept {
  return sdk::guard(err, [&] { return t->impl.send(to, lane, m, n, accepted, err); });
}

kvs_status stream_open(kvs_transport* t, kvs_node_id to, const kvs_slice* header,
                       uint64_t total_bytes, uint32_t timeout_ms, kvs_tx_stream** out,
                       kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    auto handle = std::make_unique<kvs_tx_stream>();
    handle->transport = t;
    handle->impl = t->impl.stream_open(to, *header, total_bytes, timeout_ms);
    *out = handle.release();
  });
}

kvs_status stream_write(kvs_tx_stream* st, const kvs_slice* chunk, uint32_t timeout_ms,
                        kvs_error* err) noexcept {
  return sdk::guard(err, [&] { st->impl->write(*chunk, timeout_ms); });
}

void stream_free(kvs_tx_stream* st) noexcept {
  std::unique_ptr<kvs_tx_stream> handle(st);
  handle->transport->impl.stream_close(std::move(handle->impl));
}

kvs_status stream_finish(kvs_tx_stream* st, uint32_t timeout_ms, kvs_error* err) noexcept {
  kvs_status s = sdk::guard(err, [&] { st->impl->finish(timeout_ms); });
  stream_free(st);
  return s;
}

void stream_abort(kvs_tx_stream* st) noexcept {
  st->impl->abort();
  stream_free(st);
}

const kvs_transport_api kApi = {
    sizeof(kvs_transport_api),
    0,
    transport_open,
    transport_start,
    transport_stop,
    transport_close,
    transport_get_extension,
    transport_set_hello,
    transport_bound_address,
    transport_stats,
    transport_peer_set,
    transport_peer_remove,
    transport_send,
    stream_open,
    stream_write,
    stream_finish,
    stream_abort,
};

// Thrift reports some failures through one function for the whole process, without a context: the
// one global that this plugin cannot avoid.  They are details of what the plugin itself reports,
// hence DEBUG.
std::atomic<const kvs_host*> g_thrift_log{nullptr};

void thrift_output(const char* message) {
  const kvs_host* host = g_thrift_log.load();
  if (host != nullptr) sdk::Host(host).log(KVS_LEVEL_DEBUG, message);
}

kvs_status load(const kvs_host* host, kvs_error*) noexcept {
  g_thrift_log.store(host);
  apache::thrift::GlobalOutput.setOutputFunction(thrift_output);
  return KVS_OK;
}

void unload() noexcept {
  g_thrift_log.store(nullptr);
}

const void* get_interface(const char* id) noexcept {
  return std::strcmp(id, KVS_TRANSPORT_ID) == 0 ? &kApi : nullptr;
}

const kvs_interface_ref kInterfaces[] = {{KVS_TRANSPORT_ID, 0, 0}};

const kvs_plugin_manifest kManifest = [] {
  auto m = sdk::manifest("kvstore.transport-thrift", "0.1.0",
                         "Peer messages over Apache Thrift and TCP", kInterfaces, get_interface);
  m.build = "gcc " __VERSION__ ", Thrift " PACKAGE_VERSION;
  m.config_schema = kConfigSchema;
  m.load = load;
  m.unload = unload;
  return m;
}();

}  // namespace

KVS_PLUGIN_ENTRY(kManifest)
