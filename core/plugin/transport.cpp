#include "plugin/transport.hpp"

#include <array>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "plugin/checked_transport.hpp"
#include "plugin/sinks.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"

namespace kvstore::plugin {

struct TransportHandle {
  const kvs_transport_api* table = nullptr;
  kvs_transport* transport = nullptr;
  TransportEvents* events = nullptr;
  kvs_transport_events raw_events{};
  bool started = false;
  // Open outgoing streams: all must be over before close().
  std::atomic<int> streams{0};
};

namespace {

void on_messages(void* ctx, const kvs_rx_message* m, uint32_t n) noexcept {
  std::vector<RxMessage> messages;
  messages.reserve(n);
  for (const kvs_rx_message& one : std::span(m, n)) {
    messages.push_back({one.from, one.lane, one.flags, adopt(one.payload)});
  }
  static_cast<TransportHandle*>(ctx)->events->on_messages(messages);
}

void on_peer(void* ctx, const kvs_peer_event* e) noexcept {
  static_cast<TransportHandle*>(ctx)->events->on_peer(*e);
}

kvs_status on_hello(void* ctx, const kvs_hello* h, kvs_node_id* peer, kvs_error* err) noexcept {
  Result<kvs_node_id> judged = static_cast<TransportHandle*>(ctx)->events->on_hello(*h);
  if (!judged) return fill_error(err, judged.status());
  *peer = *judged;
  return KVS_OK;
}

kvs_status stream_write(void* ctx, const kvs_slice* chunk) noexcept {
  return to_abi(static_cast<RxStream*>(ctx)->write(to_bytes(*chunk)).code());
}

kvs_status stream_finish(void* ctx) noexcept {
  std::unique_ptr<RxStream> stream(static_cast<RxStream*>(ctx));
  return to_abi(stream->finish().code());
}

void stream_abort(void* ctx, kvs_status why) noexcept {
  std::unique_ptr<RxStream> stream(static_cast<RxStream*>(ctx));
  stream->abort(to_code(why));
}

kvs_status on_stream(void* ctx, const kvs_stream_info* info, kvs_rx_stream* out) noexcept {
  auto accepted = static_cast<TransportHandle*>(ctx)->events->on_stream(*info);
  if (!accepted) return to_abi(accepted.status().code());
  KVS_ASSERT(*accepted != nullptr);
  *out = {std::move(accepted).value().release(), stream_write, stream_finish, stream_abort};
  return KVS_OK;
}

kvs_transport_events make_events(TransportHandle* handle) {
  kvs_transport_events events{};
  events.struct_size = sizeof events;
  events.ctx = handle;
  events.on_messages = on_messages;
  events.on_peer = on_peer;
  events.on_hello = on_hello;
  events.on_stream = on_stream;
  return events;
}

// Keeps the bytes of one message alive until the transport has sent it.
struct TxOwner {
  SharedBytes head;
  SharedBytes body;
  std::array<kvs_slice, 2> parts;
};

void release_tx(void* owner) noexcept {
  delete static_cast<TxOwner*>(owner);
}

}  // namespace

// ---- TxStream

TxStream::TxStream(TransportHandle* transport, kvs_tx_stream* stream)
    : transport_(transport), stream_(stream) {
  ++transport_->streams;
}

TxStream::TxStream(TxStream&& other) noexcept
    : transport_(other.transport_), stream_(std::exchange(other.stream_, nullptr)) {}

TxStream& TxStream::operator=(TxStream&& other) noexcept {
  if (this != &other) {
    abort();
    transport_ = other.transport_;
    stream_ = std::exchange(other.stream_, nullptr);
  }
  return *this;
}

Status TxStream::write(Bytes chunk, uint32_t timeout_ms) {
  KVS_ASSERT(stream_ != nullptr);
  kvs_slice raw = to_slice(chunk);
  CallError error;
  return error.status(transport_->table->stream_write(stream_, &raw, timeout_ms, error.raw()),
                      "transport.stream_write");
}

Status TxStream::finish(uint32_t timeout_ms) {
  KVS_ASSERT(stream_ != nullptr);
  CallError error;
  kvs_status status =
      transport_->table->stream_finish(std::exchange(stream_, nullptr), timeout_ms, error.raw());
  --transport_->streams;
  return error.status(status, "transport.stream_finish");
}

void TxStream::abort() {
  if (stream_ == nullptr) return;
  transport_->table->stream_abort(std::exchange(stream_, nullptr));
  --transport_->streams;
}

// ---- Transport

Transport::Transport() = default;
Transport::Transport(Transport&& other) noexcept = default;
Transport& Transport::operator=(Transport&& other) noexcept {
  if (this != &other) {
    close();
    handle_ = std::move(other.handle_);
  }
  return *this;
}
Transport::~Transport() {
  close();
}

Result<Transport> Transport::open(const kvs_transport_api* table, const kvs_host* host,
                                  const TransportOptions& options, TransportEvents* events,
                                  const ProxyOptions& proxy) {
  KVS_ASSERT(table != nullptr && host != nullptr && events != nullptr);
  Transport transport;
  transport.handle_ = std::make_unique<TransportHandle>();
  TransportHandle* handle = transport.handle_.get();
  handle->events = events;
  handle->raw_events = make_events(handle);

  kvs_transport_options raw{};
  raw.struct_size = sizeof raw;
  raw.hello = to_slice(options.hello);
  raw.listen_address = to_slice(options.listen_address);
  raw.config_json = to_slice(options.config_json);
  raw.lane_queue_bytes_max = options.lane_queue_bytes_max;
  raw.message_bytes_max = options.message_bytes_max;
  raw.events = &handle->raw_events;

  CallError error;
  OpenedTransport opened;
  kvs_status status = open_transport(table, host, raw, proxy, &opened, error.raw());
  if (status != KVS_OK) {
    transport.handle_.reset();
    return error.status(status, "transport.open");
  }
  handle->table = opened.table;
  handle->transport = opened.transport;
  return transport;
}

Status Transport::start() {
  KVS_ASSERT(is_open() && !handle_->started);
  CallError error;
  kvs_status status = handle_->table->start(handle_->transport, error.raw());
  handle_->started = status == KVS_OK;
  return error.status(status, "transport.start");
}

void Transport::stop() {
  KVS_ASSERT(is_open());
  if (std::exchange(handle_->started, false)) handle_->table->stop(handle_->transport);
}

void Transport::close() {
  if (handle_ == nullptr) return;
  stop();
  KVS_ASSERT(handle_->streams == 0);
  handle_->table->close(handle_->transport);
  handle_.reset();
}

Status Transport::set_hello(Bytes hello) {
  KVS_ASSERT(is_open());
  kvs_slice raw = to_slice(hello);
  return CallError().status(handle_->table->set_hello(handle_->transport, &raw),
                            "transport.set_hello");
}

Result<std::string> Transport::bound_address() const {
  KVS_ASSERT(is_open());
  std::string address;
  kvs_status status = handle_->table->bound_address(handle_->transport, append_sink, &address);
  if (status != KVS_OK) return CallError().status(status, "transport.bound_address");
  return address;
}

Result<std::string> Transport::stats() const {
  KVS_ASSERT(is_open());
  std::string json;
  kvs_status status = handle_->table->stats(handle_->transport, append_sink, &json);
  if (status != KVS_OK) return CallError().status(status, "transport.stats");
  return json;
}

const void* Transport::get_extension(const char* id) const {
  KVS_ASSERT(is_open());
  return handle_->table->get_extension(handle_->transport, id);
}

Status Transport::peer_set(kvs_node_id id, Bytes address) {
  KVS_ASSERT(is_open() && id != 0);
  kvs_peer peer{};
  peer.struct_size = sizeof peer;
  peer.id = id;
  peer.address = to_slice(address);
  CallError error;
  return error.status(handle_->table->peer_set(handle_->transport, &peer, error.raw()),
                      "transport.peer_set");
}

Status Transport::peer_remove(kvs_node_id id) {
  KVS_ASSERT(is_open() && id != 0);
  CallError error;
  return error.status(handle_->table->peer_remove(handle_->transport, id, error.raw()),
                      "transport.peer_remove");
}

Status Transport::send(kvs_node_id to, uint32_t lane, std::span<const TxMessage> messages,
                       uint32_t* accepted) {
  std::vector<kvs_tx_message> raw;
  raw.reserve(messages.size());
  for (const TxMessage& m : messages) {
    auto* owner = new TxOwner{m.head, m.body, {to_slice(m.head.view()), to_slice(m.body.view())}};
    raw.push_back({owner->parts.data(), 2, 0, owner, release_tx});
  }
  Status status = send_raw(to, lane, raw, accepted);
  for (size_t i = *accepted; i < raw.size(); ++i) release_tx(raw[i].owner);
  return status;
}

Status Transport::send_raw(kvs_node_id to, uint32_t lane, std::span<const kvs_tx_message> messages,
                           uint32_t* accepted) {
  KVS_ASSERT(is_open() && to != 0 && lane < KVS_LANE_COUNT);
  *accepted = 0;
  if (messages.empty()) return Status();
  CallError error;
  kvs_status status =
      handle_->table->send(handle_->transport, to, lane, messages.data(),
                           static_cast<uint32_t>(messages.size()), accepted, error.raw());
  KVS_ASSERT(*accepted <= messages.size());
  return error.status(status, "transport.send");
}

Result<TxStream> Transport::stream_open(kvs_node_id to, Bytes header, uint64_t total_bytes,
                                        uint32_t timeout_ms) {
  KVS_ASSERT(is_open() && to != 0);
  kvs_slice raw = to_slice(header);
  kvs_tx_stream* stream = nullptr;
  CallError error;
  kvs_status status = handle_->table->stream_open(handle_->transport, to, &raw, total_bytes,
                                                  timeout_ms, &stream, error.raw());
  if (status != KVS_OK) return error.status(status, "transport.stream_open");
  return TxStream(handle_.get(), stream);
}

}  // namespace kvstore::plugin
