#include "batch.hpp"

#include <bit>
#include <string>

#include <thrift/protocol/TProtocolException.h>

namespace kvstore::transport_thrift {

static_assert(std::endian::native == std::endian::little, "message lengths are copied as they are");

namespace {

using namespace apache::thrift::protocol;

constexpr int16_t kBatchField = 1;

[[noreturn]] void malformed(const std::string& what) {
  throw TProtocolException(TProtocolException::INVALID_DATA, "deliver: " + what);
}

// Where the batch lies in the frame; the struct around it is consumed.
std::span<const uint8_t> locate_batch(TProtocol& in, FrameTransport& transport) {
  std::span<const uint8_t> batch;
  std::string name;
  in.readStructBegin(name);
  for (;;) {
    TType type = T_STOP;
    int16_t id = 0;
    in.readFieldBegin(name, type, id);
    if (type == T_STOP) break;
    if (id == kBatchField && type == T_STRING) {
      int32_t size = 0;
      in.readI32(size);
      if (size < 0 || static_cast<uint32_t>(size) > transport.remaining()) {
        malformed("the batch is longer than its frame");
      }
      batch = {transport.position(), static_cast<size_t>(size)};
      transport.skip(static_cast<uint32_t>(size));
    } else {
      in.skip(type);
    }
    in.readFieldEnd();
  }
  in.readStructEnd();
  in.readMessageEnd();
  return batch;
}

}  // namespace

void write_deliver(Protocol& out, FrameTransport& transport,
                   std::span<const QueuedMessage> messages) {
  uint32_t total = 0;
  for (const QueuedMessage& m : messages) total += kMessagePrefixBytes + m.bytes;
  out.writeMessageBegin("deliver", T_ONEWAY, 0);
  out.writeStructBegin("PeerLink_deliver_pargs");
  out.writeFieldBegin("batch", T_STRING, kBatchField);
  out.writeI32(static_cast<int32_t>(total));
  for (const QueuedMessage& m : messages) {
    transport.write(reinterpret_cast<const uint8_t*>(&m.bytes), kMessagePrefixBytes);
    for (uint32_t i = 0; i < m.message.part_count; ++i) {
      const kvs_slice& part = m.message.parts[i];
      if (part.len != 0) transport.write(part.data, static_cast<uint32_t>(part.len));
    }
  }
  out.writeFieldEnd();
  out.writeFieldStop();
  out.writeStructEnd();
  out.writeMessageEnd();
  transport.writeEnd();
  transport.flush();
}

void read_deliver(TProtocol& in, FrameTransport& transport, kvs_node_id from, uint32_t lane,
                  uint64_t message_bytes_max, std::vector<kvs_rx_message>* out) {
  out->clear();
  std::span<const uint8_t> batch = locate_batch(in, transport);
  if (batch.empty()) malformed("an empty batch");
  while (!batch.empty()) {
    uint32_t size = 0;
    if (batch.size() < kMessagePrefixBytes) malformed("cut in a length");
    std::memcpy(&size, batch.data(), kMessagePrefixBytes);
    batch = batch.subspan(kMessagePrefixBytes);
    if (size > batch.size()) malformed("a message is longer than its batch");
    if (size > message_bytes_max) malformed("a message of " + std::to_string(size) + " bytes");
    if (out->size() == kBatchMessagesMax) malformed("too many messages");
    out->push_back({from, lane, 0, {batch.data(), size, &transport.frame(), &Frame::release}});
    batch = batch.subspan(size);
  }
  // Only now: nothing throws between taking the references and handing them over.
  transport.frame().add_references(static_cast<uint32_t>(out->size()));
}

}  // namespace kvstore::transport_thrift
