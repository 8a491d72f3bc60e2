#include "incoming.hpp"

#include <utility>

#include <sys/socket.h>

namespace kvstore::transport_thrift {

namespace {

using apache::thrift::protocol::TProtocol;

constexpr uint32_t kHelloFrameMax = 16 << 10;  // all that a stranger may make us allocate

void set(wire::Answer& answer, kvs_status status, const std::string& message) {
  answer.status = status;
  answer.message = message;
}

// The generated dispatcher, but for the order of calls and for `deliver`, which is read without
// copies.
class Dispatcher : public wire::PeerLinkProcessor {
 public:
  // The connection outlives its dispatcher.
  explicit Dispatcher(Incoming& connection)
      : wire::PeerLinkProcessor({std::shared_ptr<void>(), &connection}), connection_(connection) {}

 protected:
  bool dispatchCall(TProtocol* in, TProtocol* out, const std::string& name, int32_t seqid,
                    void* context) override {
    if (!connection_.expects(name)) return false;
    if (name == "deliver") return connection_.handle_deliver(*in);
    return wire::PeerLinkProcessor::dispatchCall(in, out, name, seqid, context);
  }

 private:
  Incoming& connection_;
};

}  // namespace

Incoming::Incoming(Context& context, int fd, std::function<void(kvs_node_id)> on_greeted)
    : context_(context),
      on_greeted_(std::move(on_greeted)),
      transport_(std::make_shared<FrameTransport>(fd, context.host, kHelloFrameMax)),
      protocol_(std::make_shared<Protocol>(transport_, kHelloFrameMax, kHelloFrameMax, true, true)),
      remote_(remote_text(fd)) {
  tune(fd, context.settings.dead_peer_timeout_ms);
}

void Incoming::interrupt() noexcept {
  interrupted_.store(true);
  ::shutdown(transport_->fd(), SHUT_RDWR);
}

void Incoming::run() {
  try {
    serve();
  } catch (const std::exception& e) {
    if (!interrupted_.load()) {
      context_.counters.connections_closed++;
      context_.complain("connection from " + remote_ + " closed: " + e.what());
    }
  }
  end_stream(interrupted_.load() ? KVS_E_CLOSED : KVS_E_UNREACHABLE);
  ::shutdown(transport_->fd(), SHUT_RDWR);
}

void Incoming::serve() {
  Dispatcher dispatcher(*this);
  const uint64_t hello_deadline = context_.deadline_in(context_.settings.hello_timeout_ms);
  while (!ending_) {
    bool stranger = peer() == 0;
    bool stream = !stranger && kind_ == kStreamKind;
    transport_->set_deadline(stranger ? hello_deadline
                             : stream
                                 ? context_.deadline_in(context_.settings.stream_idle_timeout_ms)
                                 : 0);
    if (!transport_->next_frame()) return;
    if (!stranger) transport_->set_deadline(0);  // the host takes the time it needs
    if (!dispatcher.process(protocol_, protocol_, nullptr)) {
      throw sdk::Error(KVS_E_INVALID, "an unexpected call");
    }
  }
}

// Everything but hello needs an accepted hello, and lanes and streams have calls of their own.
bool Incoming::expects(const std::string& call) const {
  if (peer() == 0) return call == "hello";
  if (call == "refuse") return true;
  if (kind_ != kStreamKind) return call == "deliver";
  return call == "streamOpen" ? !streaming_ : streaming_ && call.starts_with("stream");
}

bool Incoming::handle_deliver(TProtocol& in) {
  read_deliver(in, *transport_, peer(), static_cast<uint32_t>(kind_),
               context_.settings.message_bytes_max, &messages_);
  uint64_t bytes = 0;
  for (const kvs_rx_message& m : messages_) bytes += m.payload.len;
  context_.counters.frames_received++;
  context_.counters.messages_received += messages_.size();
  context_.counters.bytes_received += bytes;
  context_.events.on_messages(context_.events.ctx, messages_.data(),
                              static_cast<uint32_t>(messages_.size()));
  transport_->readEnd();
  return true;
}

void Incoming::hello(wire::Answer& answer, const wire::Hello& theirs) {
  try {
    greet(answer, theirs);
  } catch (const sdk::Error& why) {
    context_.counters.hellos_refused++;
    context_.complain("hello from " + remote_ + " refused: " + why.what());
    set(answer, why.code(), why.what());
    ending_ = true;
  }
}

void Incoming::greet(wire::Answer& answer, const wire::Hello& theirs) {
  if (theirs.protocol != kProtocolVersion) {
    throw Refused(KVS_E_INCOMPATIBLE, "the other side speaks version " +
                                          std::to_string(theirs.protocol) +
                                          " of the Thrift peer protocol, this node version " +
                                          std::to_string(kProtocolVersion));
  }
  if (theirs.kind != kStreamKind && (theirs.kind < 0 || theirs.kind >= KVS_LANE_COUNT)) {
    throw Refused(KVS_E_INVALID, "there is no lane " + std::to_string(theirs.kind));
  }
  kvs_node_id peer = context_.judge(true, 0, theirs.hello, remote_);
  kind_ = theirs.kind;
  peer_.store(peer, std::memory_order_release);
  answer.status = KVS_OK;
  answer.hello = context_.hello();
  uint32_t frame_bytes_max = context_.settings.frame_bytes_max();
  transport_->set_frame_bytes_max(frame_bytes_max);
  protocol_->setStringSizeLimit(static_cast<int32_t>(frame_bytes_max));
  if (kind_ == KVS_LANE_CONTROL) on_greeted_(peer);
}

void Incoming::refuse(const int32_t status, const std::string& message) {
  context_.complain("node " + std::to_string(peer()) + " at " + remote_ +
                    " refused our hello (status " + std::to_string(status) +
                    "): " + message.substr(0, 200));
  ending_ = true;
}

void Incoming::streamOpen(wire::Answer& answer, const std::string& header, const int64_t total) {
  if (header.size() > kStreamHeaderBytesMax) {
    set(answer, KVS_E_INVALID, "the stream's header is larger than 4 KiB");
    ending_ = true;
    return;
  }
  uint32_t others = context_.incoming_streams.fetch_add(1);
  if (others >= context_.settings.incoming_streams_max) {
    context_.incoming_streams.fetch_sub(1);
    set(answer, KVS_E_BUSY, "the node is receiving " + std::to_string(others) + " streams already");
    ending_ = true;
    return;
  }
  open_stream(answer, header, static_cast<uint64_t>(total));
  if (!streaming_) context_.incoming_streams.fetch_sub(1);
}

void Incoming::open_stream(wire::Answer& answer, const std::string& header, uint64_t total) {
  kvs_stream_info info{};
  info.struct_size = sizeof info;
  info.from = peer();
  info.total_bytes = total;
  info.header = sdk::slice(header);
  kvs_status status = context_.events.on_stream(context_.events.ctx, &info, &stream_);
  streaming_ = status == KVS_OK;
  ending_ = !streaming_;
  set(answer, status, streaming_ ? "" : "refused by the host");
}

void Incoming::streamChunk(wire::Answer& answer, const std::string& data) {
  kvs_slice chunk = sdk::slice(data);
  kvs_status status = stream_.write(stream_.ctx, &chunk);
  context_.counters.bytes_received += data.size();
  set(answer, status, status == KVS_OK ? "" : "the host failed to take a chunk");
  if (status == KVS_OK) return;
  end_stream(status);
  ending_ = true;
}

void Incoming::streamFinish(wire::Answer& answer) {
  kvs_status status = stream_.finish(stream_.ctx);
  streaming_ = false;
  ending_ = true;
  context_.incoming_streams.fetch_sub(1);
  set(answer, status, status == KVS_OK ? "" : "the host failed to take the whole");
}

void Incoming::streamAbort() {
  end_stream(KVS_E_CANCELLED);
  ending_ = true;
}

void Incoming::end_stream(kvs_status why) {
  if (!streaming_) return;
  streaming_ = false;
  stream_.abort(stream_.ctx, why);
  context_.incoming_streams.fetch_sub(1);
}

}  // namespace kvstore::transport_thrift
