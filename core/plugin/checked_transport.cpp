#include "plugin/checked_transport.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plugin/checked_transport_parts.hpp"
#include "plugin/probe.hpp"

namespace kvstore::plugin {
namespace checked_transport {
namespace {

struct CheckedTxStream {
  CheckedTransport* transport;
  kvs_tx_stream* inner;
  Exclusive user;
};

// The plugin's types are opaque to the host, so a proxy's object travels in their place.
CheckedTransport* self(kvs_transport* t) {
  KVS_ASSERT(t != nullptr);
  return reinterpret_cast<CheckedTransport*>(t);
}
CheckedTxStream* self(kvs_tx_stream* st) {
  KVS_ASSERT(st != nullptr);
  return reinterpret_cast<CheckedTxStream*>(st);
}

// Checks that hold for every call.
kvs_status outcome(const Probe& probe, Call call, kvs_status status, kvs_error* err) {
  if (!probe.checked()) return status;
  if (!known_status(status)) {
    return probe.plugin_bug(
        err, kCallNames[call],
        "returned status " + std::to_string(status) + ", which is not in the ABI");
  }
  if (std::string wrong = error_form(err); !wrong.empty()) {
    return probe.plugin_bug(nullptr, kCallNames[call], wrong);
  }
  return status;
}

// ---- instance

kvs_status start(kvs_transport* handle, kvs_error* err) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(!t.running);
  t.running = true;
  kvs_status status;
  {
    Probe::Timer timer(t.probe, kStart);
    status = t.table->start(t.inner, err);
  }
  status = outcome(t.probe, kStart, status, err);
  if (status != KVS_OK) t.running = false;
  return status;
}

// What stop() must leave behind: nothing.
void check_stopped(CheckedTransport& t) {
  if (size_t left = t.tickets.messages_out(); left > 0) {
    (void)t.probe.plugin_bug(nullptr, "stop",
                             "did not release " + std::to_string(left) + " messages");
  }
  if (size_t left = t.tickets.streams_in(); left > 0) {
    (void)t.probe.plugin_bug(nullptr, "stop",
                             "did not end " + std::to_string(left) + " incoming streams");
  }
}

void stop(kvs_transport* handle) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(t.running);
  {
    Probe::Timer timer(t.probe, kStop);
    t.table->stop(t.inner);
  }
  t.running = false;
  if (t.probe.checked()) check_stopped(t);
}

void close(kvs_transport* handle) noexcept {
  std::unique_ptr<CheckedTransport> t(self(handle));
  KVS_ASSERT(!t->running && t->streams == 0);
  t->table->close(t->inner);
}

const void* get_extension(kvs_transport* handle, const char* id) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(id != nullptr);
  return t.table->get_extension(t.inner, id);
}

kvs_status set_hello(kvs_transport* handle, const kvs_slice* hello) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(valid_slice(hello) && hello->len <= kHelloBytesMax);
  Probe::Timer timer(t.probe, kSetHello);
  return outcome(t.probe, kSetHello, t.table->set_hello(t.inner, hello), nullptr);
}

kvs_status bound_address(kvs_transport* handle, kvs_slice_sink sink, void* ctx) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(sink != nullptr);
  Probe::Timer timer(t.probe, kBoundAddress);
  return outcome(t.probe, kBoundAddress, t.table->bound_address(t.inner, sink, ctx), nullptr);
}

kvs_status stats(kvs_transport* handle, kvs_slice_sink sink, void* ctx) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(sink != nullptr);
  Probe::Timer timer(t.probe, kStats);
  return outcome(t.probe, kStats, t.table->stats(t.inner, sink, ctx), nullptr);
}

// ---- peers and messages

kvs_status peer_set(kvs_transport* handle, const kvs_peer* p, kvs_error* err) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(p != nullptr && p->struct_size >= sizeof *p && p->id != 0 && valid_slice(&p->address));
  Probe::Timer timer(t.probe, kPeerSet);
  return outcome(t.probe, kPeerSet, t.table->peer_set(t.inner, p, err), err);
}

kvs_status peer_remove(kvs_transport* handle, kvs_node_id id, kvs_error* err) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(id != 0);
  Probe::Timer timer(t.probe, kPeerRemove);
  return outcome(t.probe, kPeerRemove, t.table->peer_remove(t.inner, id, err), err);
}

uint64_t assert_valid_message(const kvs_tx_message& m) {
  KVS_ASSERT(m.release != nullptr && (m.part_count == 0 || m.parts != nullptr));
  uint64_t bytes = 0;
  for (const kvs_slice& part : std::span(m.parts, m.part_count)) {
    KVS_ASSERT(valid_slice(&part));
    bytes += part.len;
  }
  return bytes;
}

std::string send_outcome(kvs_status status, uint32_t n, uint32_t accepted) {
  if (accepted > n) return "accepted more messages than there were";
  if (status == KVS_OK && accepted < n) return "succeeded without accepting every message";
  if (status != KVS_OK && accepted == n) return "failed although it accepted every message";
  if (status == KVS_E_INVALID) return "refused a valid message as INVALID";
  return "";
}

kvs_status checked_send(CheckedTransport& t, kvs_node_id to, uint32_t lane, const kvs_tx_message* m,
                        uint32_t n, uint32_t* accepted, kvs_error* err) {
  std::vector<kvs_tx_message> messages(m, m + n);
  for (kvs_tx_message& one : messages) {
    KVS_ASSERT(assert_valid_message(one) <= t.message_bytes_max);
    one.owner = t.tickets.issue_message(one.owner, one.release);
    one.release = Tickets::release_message;
  }
  *accepted = 0;
  t_sending = &t;
  kvs_status status;
  {
    Probe::Timer timer(t.probe, kSend);
    status = t.table->send(t.inner, to, lane, messages.data(), n, accepted, err);
  }
  t_sending = nullptr;
  status = outcome(t.probe, kSend, status, err);
  std::string wrong = send_outcome(status, n, *accepted);
  if (*accepted > n) *accepted = n;
  for (uint32_t i = 0; i < n; ++i) {
    if (t.tickets.settle_message(messages[i].owner, i < *accepted)) continue;
    wrong = "released a message that it refused";
  }
  return wrong.empty() ? status : t.probe.plugin_bug(err, "send", wrong);
}

kvs_status send(kvs_transport* handle, kvs_node_id to, uint32_t lane, const kvs_tx_message* m,
                uint32_t n, uint32_t* accepted, kvs_error* err) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(to != 0 && lane < KVS_LANE_COUNT && n > 0 && m != nullptr && accepted != nullptr);
  if (t.probe.checked()) return checked_send(t, to, lane, m, n, accepted, err);
  Probe::Timer timer(t.probe, kSend);
  return t.table->send(t.inner, to, lane, m, n, accepted, err);
}

// ---- outgoing streams

kvs_status stream_open(kvs_transport* handle, kvs_node_id to, const kvs_slice* header,
                       uint64_t total_bytes, uint32_t timeout_ms, kvs_tx_stream** out,
                       kvs_error* err) noexcept {
  CheckedTransport& t = *self(handle);
  KVS_ASSERT(to != 0 && valid_slice(header) && header->len <= kHelloBytesMax && out != nullptr);
  auto stream = std::make_unique<CheckedTxStream>();
  stream->transport = &t;
  stream->inner = nullptr;
  kvs_status status;
  {
    Probe::Timer timer(t.probe, kStreamOpen);
    status =
        t.table->stream_open(t.inner, to, header, total_bytes, timeout_ms, &stream->inner, err);
  }
  status = outcome(t.probe, kStreamOpen, status, err);
  if (status != KVS_OK) return status;
  if (stream->inner == nullptr) {
    return t.probe.plugin_bug(err, "stream_open", "succeeded without a handle");
  }
  ++t.streams;
  *out = reinterpret_cast<kvs_tx_stream*>(stream.release());
  return KVS_OK;
}

kvs_status stream_write(kvs_tx_stream* handle, const kvs_slice* chunk, uint32_t timeout_ms,
                        kvs_error* err) noexcept {
  CheckedTxStream& stream = *self(handle);
  Exclusive::Scope exclusive(stream.user);
  KVS_ASSERT(valid_slice(chunk) && chunk->len <= kChunkBytesMax);
  CheckedTransport& t = *stream.transport;
  Probe::Timer timer(t.probe, kStreamWrite);
  return outcome(t.probe, kStreamWrite, t.table->stream_write(stream.inner, chunk, timeout_ms, err),
                 err);
}

kvs_status stream_finish(kvs_tx_stream* handle, uint32_t timeout_ms, kvs_error* err) noexcept {
  std::unique_ptr<CheckedTxStream> stream(self(handle));
  KVS_ASSERT(!stream->user.busy());
  CheckedTransport& t = *stream->transport;
  kvs_status status;
  {
    Probe::Timer timer(t.probe, kStreamFinish);
    status = t.table->stream_finish(stream->inner, timeout_ms, err);
  }
  --t.streams;
  return outcome(t.probe, kStreamFinish, status, err);
}

void stream_abort(kvs_tx_stream* handle) noexcept {
  std::unique_ptr<CheckedTxStream> stream(self(handle));
  KVS_ASSERT(!stream->user.busy());
  stream->transport->table->stream_abort(stream->inner);
  --stream->transport->streams;
}

// Instances come from open_transport() only: the table's own open cannot know which plugin is
// meant.
kvs_status refuse_open(const kvs_host*, const kvs_transport_options*, kvs_transport**,
                       kvs_error*) noexcept {
  return KVS_E_UNSUPPORTED;
}

constexpr kvs_transport_api make_table() {
  kvs_transport_api t{};
  t.struct_size = sizeof t;
  t.open = refuse_open;
  t.start = start;
  t.stop = stop;
  t.close = close;
  t.get_extension = get_extension;
  t.set_hello = set_hello;
  t.bound_address = bound_address;
  t.stats = stats;
  t.peer_set = peer_set;
  t.peer_remove = peer_remove;
  t.send = send;
  t.stream_open = stream_open;
  t.stream_write = stream_write;
  t.stream_finish = stream_finish;
  t.stream_abort = stream_abort;
  return t;
}

constexpr kvs_transport_api kTable = make_table();

}  // namespace
}  // namespace checked_transport

kvs_status open_transport(const kvs_transport_api* table, const kvs_host* host,
                          const kvs_transport_options& options, const ProxyOptions& proxy,
                          OpenedTransport* out, kvs_error* err) {
  using namespace checked_transport;
  *out = {table, nullptr};
  if (!Probe::wanted(host, proxy)) return table->open(host, &options, &out->transport, err);
  KVS_ASSERT(options.events != nullptr && options.hello.len <= kHelloBytesMax);
  auto t = std::make_unique<CheckedTransport>(table, host, proxy);
  t->host_events = options.events;
  t->message_bytes_max = options.message_bytes_max;
  kvs_transport_options ours = options;
  if (proxy.checked) {
    t->events = make_events(t.get());
    ours.events = &t->events;
  }
  kvs_status status;
  {
    Probe::Timer timer(t->probe, kOpen);
    status = table->open(host, &ours, &t->inner, err);
  }
  status = outcome(t->probe, kOpen, status, err);
  if (status != KVS_OK) return status;
  if (t->inner == nullptr) return t->probe.plugin_bug(err, "open", "succeeded without a handle");
  *out = {&kTable, reinterpret_cast<kvs_transport*>(t.release())};
  return KVS_OK;
}

}  // namespace kvstore::plugin
