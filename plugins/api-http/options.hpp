// The plugin's options: defaults, ranges, JSON schema.
#pragma once

#include <cstdint>
#include <string>

#include <kvstore/abi/base.h>

namespace kvstore::http {

// Every member is documented in the schema (options.cpp) and in the README.
struct Config {
  uint64_t threads;
  uint64_t max_connections;
  uint64_t max_connections_per_address;  // 0: no limit
  uint64_t max_data_requests;
  uint64_t max_waiting_requests;
  uint64_t max_watches;
  uint64_t max_parked_requests;
  uint64_t max_parked_bytes;
  uint64_t max_key_bytes;
  uint64_t max_value_bytes;
  uint64_t max_list_items;
  uint64_t max_txn_operations;
  uint64_t max_batch_operations;
  uint64_t max_header_bytes;
  uint64_t request_timeout_ms;  // 0: the engine's default
  uint64_t header_timeout_ms;
  uint64_t body_timeout_ms;
  uint64_t send_timeout_ms;
  uint64_t min_bytes_per_second;
  uint64_t keep_alive_timeout_ms;
  uint64_t watch_heartbeat_ms;
};

// Throws sdk::Error(KVS_E_INVALID) naming the option.
Config parse_config(const kvs_slice& config_json);

// JSON Schema of the options object.
extern const char kConfigSchema[];

struct ListenAddress {
  std::string host;
  uint16_t port = 0;
};
// "host:port", "[v6]:port", ":port" (all addresses).  Throws sdk::Error(KVS_E_INVALID).
ListenAddress parse_listen_address(const std::string& text);

}  // namespace kvstore::http
