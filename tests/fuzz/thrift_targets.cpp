// The peer protocol's frames: one connection as a stranger or a peer may use it.
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include "incoming.hpp"
#include "quiet_host.hpp"
#include "sockets.hpp"
#include "target.hpp"

namespace kvstore::fuzz {
namespace {

using namespace transport_thrift;
using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TMemoryBuffer;

constexpr uint64_t kMessageBytesMax = 1000;

// What the host hears of one connection.
struct Heard {
  uint64_t messages = 0;
  uint64_t bytes = 0;
  int open_streams = 0;
};

kvs_transport_events events_to(Heard* heard) {
  kvs_transport_events events{};
  events.struct_size = sizeof events;
  events.ctx = heard;
  events.on_hello = [](void*, const kvs_hello* hello, kvs_node_id* peer,
                       kvs_error*) noexcept -> kvs_status {
    if (hello->remote.len < 2) return KVS_E_INVALID;
    *peer = 9;
    return KVS_OK;
  };
  events.on_messages = [](void* ctx, const kvs_rx_message* messages, uint32_t n) noexcept {
    auto* h = static_cast<Heard*>(ctx);
    h->messages += n;
    for (uint32_t i = 0; i < n; ++i) {
      const kvs_buf& payload = messages[i].payload;
      KVS_ASSERT(payload.len <= kMessageBytesMax && messages[i].from == 9);
      h->bytes += payload.len;
      const std::string touched(reinterpret_cast<const char*>(payload.data), payload.len);
      payload.release(payload.owner);
    }
  };
  events.on_stream = [](void* ctx, const kvs_stream_info* info,
                        kvs_rx_stream* stream) noexcept -> kvs_status {
    if (info->header.len > 100) return KVS_E_BUSY;
    auto* h = static_cast<Heard*>(ctx);
    h->open_streams++;
    stream->ctx = h;
    stream->write = [](void* c, const kvs_slice* chunk) noexcept -> kvs_status {
      static_cast<Heard*>(c)->bytes += chunk->len;
      return chunk->len > 200 ? KVS_E_IO : KVS_OK;
    };
    stream->finish = [](void* c) noexcept -> kvs_status {
      static_cast<Heard*>(c)->open_streams--;
      return KVS_OK;
    };
    stream->abort = [](void* c, kvs_status) noexcept { static_cast<Heard*>(c)->open_streams--; };
    return KVS_OK;
  };
  return events;
}

void run_thrift_connection(Bytes input) {
  Heard heard;
  const kvs_transport_events events = events_to(&heard);
  kvs_transport_options options{};
  options.struct_size = sizeof options;
  options.listen_address = sdk::slice(Bytes("127.0.0.1:0"));
  options.lane_queue_bytes_max = 1 << 20;
  options.message_bytes_max = kMessageBytesMax;
  options.events = &events;
  options.hello = sdk::slice(Bytes("our hello"));
  Context context(quiet_host(), options);
  const auto [server, client] = local_pair();
  send_all(client, input);
  ::shutdown(client, SHUT_WR);
  {
    Incoming incoming(context, server, [](kvs_node_id peer) { KVS_ASSERT(peer == 9); });
    incoming.run();
    if (incoming.peer() == 0) KVS_ASSERT(heard.messages == 0 && heard.bytes == 0);
  }
  ::close(client);
  KVS_ASSERT(heard.bytes <= input.size());
  KVS_ASSERT(heard.open_streams == 0 && context.incoming_streams == 0);
}

// Frames as Thrift's own classes write them.
class Caller {
 public:
  Caller()
      : memory_(std::make_shared<TMemoryBuffer>()),
        client_(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(memory_))) {}

  Caller& hello(int32_t kind) {
    wire::Hello hello;
    hello.protocol = kProtocolVersion;
    hello.kind = kind;
    hello.hello = "their hello";
    client_.send_hello(hello);
    return *this;
  }
  wire::PeerLinkClient& calls() { return client_; }
  std::string bytes() const { return memory_->getBufferAsString(); }

 private:
  std::shared_ptr<TMemoryBuffer> memory_;
  wire::PeerLinkClient client_;
};

void seed_thrift_connection(Seeds* out) {
  const auto message = [](const std::string& text) {
    return std::string(1, static_cast<char>(text.size())) + std::string(3, '\0') + text;
  };
  Caller lane;
  lane.hello(KVS_LANE_LOG).calls().deliver(message("one") + message(""));
  lane.calls().deliver(message(std::string(100, 'x')));
  lane.calls().refuse(KVS_E_CONFLICT, "no");
  out->push_back(lane.bytes());
  Caller stream;
  stream.hello(kStreamKind).calls().send_streamOpen("header", 6);
  stream.calls().send_streamChunk("abcdef");
  stream.calls().send_streamFinish();
  out->push_back(stream.bytes());
  Caller aborted;
  aborted.hello(kStreamKind).calls().send_streamOpen("header", 1 << 20);
  aborted.calls().streamAbort();
  out->push_back(aborted.bytes());
}

// Messages of the lengths that the input's bytes say, through our writer and our reader.
void run_thrift_batch(Bytes input) {
  std::vector<QueuedMessage> queued;
  std::vector<kvs_slice> parts;
  parts.reserve(input.size());
  for (Bytes rest = input; !rest.empty() && queued.size() < 100;) {
    const auto size = std::min<size_t>(static_cast<unsigned char>(rest[0]), rest.size() - 1);
    parts.push_back(sdk::slice(rest.substr(1, size)));
    QueuedMessage m{};
    m.message.parts = &parts.back();
    m.message.part_count = 1;
    m.bytes = static_cast<uint32_t>(size);
    queued.push_back(m);
    rest.remove_prefix(1 + size);
  }
  if (queued.empty()) return;
  const auto [server, client] = local_pair();
  auto out = std::make_shared<FrameTransport>(client, sdk::Host(quiet_host()), 1 << 20);
  auto in = std::make_shared<FrameTransport>(server, sdk::Host(quiet_host()), 1 << 20);
  Protocol writer(out), reader(in);
  write_deliver(writer, *out, queued);
  KVS_ASSERT(in->next_frame());
  std::string name;
  apache::thrift::protocol::TMessageType type{};
  int32_t sequence = 0;
  reader.readMessageBegin(name, type, sequence);
  KVS_ASSERT(name == "deliver");
  std::vector<kvs_rx_message> received;
  read_deliver(reader, *in, 3, 1, 256, &received);
  KVS_ASSERT(received.size() == queued.size());
  for (size_t i = 0; i < received.size(); ++i) {
    const kvs_buf& payload = received[i].payload;
    KVS_ASSERT(as_bytes(payload.data, payload.len) == sdk::view(parts[i]));
    payload.release(payload.owner);
  }
}

void seed_thrift_batch(Seeds* out) {
  *out = {std::string("\3abc\0\1x", 7), "\xff" + std::string(300, 'y')};
}

void run_transport_address(Bytes input) {
  try {
    const Address address = parse_address(input);
    KVS_ASSERT(parse_address(address.text()) == address);
  } catch (const sdk::Error& e) {
    KVS_ASSERT(e.code() == KVS_E_INVALID && *e.what() != '\0');
  }
}

void seed_transport_address(Seeds* out) {
  *out = {"127.0.0.1:7001", "[::1]:1", "host.name:65535"};
}

constexpr Target kTargets[] = {
    {"thrift_connection", run_thrift_connection, seed_thrift_connection},
    {"thrift_batch", run_thrift_batch, seed_thrift_batch},
    {"transport_address", run_transport_address, seed_transport_address},
};

}  // namespace

std::span<const Target> thrift_targets() {
  return kTargets;
}

}  // namespace kvstore::fuzz
