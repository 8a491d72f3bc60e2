#include "settings.hpp"

#include <algorithm>

#include <kvstore/sdk/options.hpp>

namespace kvstore::transport_thrift {

namespace {
constexpr uint32_t kFrameOverhead = 256;

uint32_t read_u32(sdk::Options& options, const char* key, uint32_t fallback, uint32_t min,
                  uint32_t max) {
  return static_cast<uint32_t>(options.unsigned_integer(key, fallback, min, max));
}
}  // namespace

const char* const kConfigSchema = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "batch_bytes_max": {"type": "integer", "minimum": 4096, "maximum": 4194304, "default": 1048576,
      "description": "queued messages are joined into frames of about this size"},
    "connect_timeout_ms": {"type": "integer", "minimum": 10, "maximum": 60000, "default": 1000},
    "hello_timeout_ms": {"type": "integer", "minimum": 10, "maximum": 60000, "default": 2000,
      "description": "a connection without a complete hello by then is closed"},
    "dead_peer_timeout_ms": {"type": "integer", "minimum": 1000, "maximum": 600000, "default": 5000,
      "description": "a peer that acknowledges nothing for this long is disconnected"},
    "backoff_min_ms": {"type": "integer", "minimum": 1, "maximum": 60000, "default": 50},
    "backoff_max_ms": {"type": "integer", "minimum": 1, "maximum": 60000, "default": 1000},
    "stream_idle_timeout_ms": {"type": "integer", "minimum": 100, "maximum": 3600000,
      "default": 60000,
      "description": "an incoming stream without a next call by then is aborted"},
    "incoming_connections_max": {"type": "integer", "minimum": 4, "maximum": 4096, "default": 128},
    "incoming_streams_max": {"type": "integer", "minimum": 1, "maximum": 64, "default": 4},
    "peers_max": {"type": "integer", "minimum": 1, "maximum": 256, "default": 64}
  }
})";

Settings Settings::read(const kvs_transport_options& options) {
  Settings s;
  if ((options.flags & 0xffff0000u) != 0) {
    throw sdk::Error(KVS_E_UNSUPPORTED, "unknown transport flags");
  }
  s.listen = parse_address(sdk::view(options.listen_address));
  s.lane_queue_bytes_max = options.lane_queue_bytes_max;
  s.message_bytes_max = options.message_bytes_max;
  if (s.lane_queue_bytes_max == 0) throw sdk::Error(KVS_E_INVALID, "lane_queue_bytes_max is 0");
  if (s.message_bytes_max == 0 || s.message_bytes_max > kMessageBytesLimit) {
    throw sdk::Error(KVS_E_INVALID, "message_bytes_max must be 1.." +
                                        std::to_string(kMessageBytesLimit) + ", is " +
                                        std::to_string(s.message_bytes_max));
  }
  sdk::Options o(options.config_json);
  s.batch_bytes_max = read_u32(o, "batch_bytes_max", s.batch_bytes_max, 4096, kBatchBytesLimit);
  s.connect_timeout_ms = read_u32(o, "connect_timeout_ms", s.connect_timeout_ms, 10, 60'000);
  s.hello_timeout_ms = read_u32(o, "hello_timeout_ms", s.hello_timeout_ms, 10, 60'000);
  s.dead_peer_timeout_ms =
      read_u32(o, "dead_peer_timeout_ms", s.dead_peer_timeout_ms, 1000, 600'000);
  s.backoff_min_ms = read_u32(o, "backoff_min_ms", s.backoff_min_ms, 1, 60'000);
  s.backoff_max_ms = read_u32(o, "backoff_max_ms", s.backoff_max_ms, 1, 60'000);
  s.stream_idle_timeout_ms =
      read_u32(o, "stream_idle_timeout_ms", s.stream_idle_timeout_ms, 100, 3'600'000);
  s.incoming_connections_max =
      read_u32(o, "incoming_connections_max", s.incoming_connections_max, 4, 4096);
  s.incoming_streams_max = read_u32(o, "incoming_streams_max", s.incoming_streams_max, 1, 64);
  s.peers_max = read_u32(o, "peers_max", s.peers_max, 1, 256);
  o.reject_unknown();
  if (s.backoff_min_ms > s.backoff_max_ms) {
    throw sdk::Error(KVS_E_INVALID, "/backoff_min_ms: is larger than backoff_max_ms");
  }
  return s;
}

uint64_t Settings::chunk_bytes_max() const {
  return std::max<uint64_t>(message_bytes_max, kChunkBytesMin);
}

uint32_t Settings::frame_bytes_max() const {
  return static_cast<uint32_t>(std::max<uint64_t>(chunk_bytes_max(), kBatchBytesLimit)) +
         kFrameOverhead;
}

}  // namespace kvstore::transport_thrift
