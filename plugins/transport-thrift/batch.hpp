// The `deliver` call of peer_link.thrift, written and read without the copies that the generated
// code makes: parts go straight into the frame that is sent, and received messages are slices of
// the frame.  The bytes are the same as the generated code's, which a test proves.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <kvstore/abi/transport.h>

#include <thrift/protocol/TBinaryProtocol.h>

#include "frame_transport.hpp"

namespace kvstore::transport_thrift {

using Protocol = apache::thrift::protocol::TBinaryProtocolT<FrameTransport>;

inline constexpr uint32_t kBatchMessagesMax = 4096;
inline constexpr uint32_t kMessagePrefixBytes = 4;

struct QueuedMessage {
  kvs_tx_message message;
  uint32_t bytes;  // of all parts together
};

// Writes and flushes one deliver call with these messages (1..kBatchMessagesMax).  Throws
// TException.
void write_deliver(Protocol& out, FrameTransport& transport,
                   std::span<const QueuedMessage> messages);

// Reads the arguments of one deliver call; the name was read already.  Fills `out`, whose payloads
// hold references to the frame.  Throws TException when malformed, or a message is longer than
// message_bytes_max; then no reference is left behind.
void read_deliver(apache::thrift::protocol::TProtocol& in, FrameTransport& transport,
                  kvs_node_id from, uint32_t lane, uint64_t message_bytes_max,
                  std::vector<kvs_rx_message>* out);

}  // namespace kvstore::transport_thrift
