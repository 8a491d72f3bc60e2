// Everything configurable, checked once at open().
#pragma once

#include <cstdint>

#include <kvstore/abi/transport.h>

#include "socket.hpp"

namespace kvstore::transport_thrift {

inline constexpr uint32_t kHelloBytesMax = 4096;
inline constexpr uint32_t kStreamHeaderBytesMax = 4096;
inline constexpr uint32_t kBatchBytesLimit = 4 << 20;  // upper end of batch_bytes_max on any node
inline constexpr uint64_t kMessageBytesLimit = 1u
                                               << 30;  // upper end of the host's message_bytes_max
inline constexpr uint32_t kChunkBytesMin =
    (1 << 20) + (64 << 10);  // a chunk of this size always passes

extern const char* const kConfigSchema;

struct Settings {
  Address listen;
  uint64_t lane_queue_bytes_max = 0;
  uint64_t message_bytes_max = 0;

  uint32_t batch_bytes_max = 1 << 20;
  uint32_t connect_timeout_ms = 1000;
  uint32_t hello_timeout_ms = 2000;
  uint32_t dead_peer_timeout_ms = 5000;
  uint32_t backoff_min_ms = 50;
  uint32_t backoff_max_ms = 1000;
  uint32_t stream_idle_timeout_ms = 60'000;
  uint32_t incoming_connections_max = 128;
  uint32_t incoming_streams_max = 4;
  uint32_t peers_max = 64;

  // Throws sdk::Error(KVS_E_INVALID) naming the option.
  static Settings read(const kvs_transport_options& options);

  // The largest chunk of a stream, and the largest frame that any node of the cluster may send.
  uint64_t chunk_bytes_max() const;
  uint32_t frame_bytes_max() const;
};

}  // namespace kvstore::transport_thrift
