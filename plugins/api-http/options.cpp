#include "options.hpp"

#include <algorithm>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/options.hpp>

#include "text/scalar.hpp"

namespace kvstore::http {

const char kConfigSchema[] = R"json({
  "$schema": "http://json-schema.org/draft-07/schema#",
  "title": "Options of api-http",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "threads": {"type": "integer", "minimum": 8, "maximum": 16384, "default": 512,
      "description": "Server threads; each serves one connection at a time."},
    "max_connections": {"type": "integer", "minimum": 8, "maximum": 65536, "default": 2048,
      "description": "Open connections; beyond it the longest idle one is closed, or 503."},
    "max_connections_per_address": {"type": "integer", "minimum": 0, "maximum": 65536,
      "default": 0, "description": "Open connections of one client address; 0: no limit."},
    "max_data_requests": {"type": "integer", "minimum": 1, "maximum": 16384,
      "description": "Key-value requests at a time, then 429; default and at most 7/8 of threads."},
    "max_waiting_requests": {"type": "integer", "minimum": 1, "maximum": 16384, "default": 16,
      "description": "Administrative requests at a time, then 429; at most 1/16 of threads."},
    "max_watches": {"type": "integer", "minimum": 1, "maximum": 65536, "default": 2048,
      "description": "Watches at a time, then 429; they hold no thread and count apart from max_connections."},
    "max_parked_requests": {"type": "integer", "minimum": 1, "maximum": 65536, "default": 4096,
      "description": "Key-value requests that wait without a thread; beyond it 429 for those that may have to wait."},
    "max_parked_bytes": {"type": "integer", "minimum": 1048576, "maximum": 68719476736,
      "default": 268435456,
      "description": "Bodies of the key-value requests that wait without a thread; beyond it 429 likewise."},
    "max_key_bytes": {"type": "integer", "minimum": 1, "maximum": 8192, "default": 4096},
    "max_value_bytes": {"type": "integer", "minimum": 1, "maximum": 1073741824,
      "default": 67108864},
    "max_list_items": {"type": "integer", "minimum": 1, "maximum": 100000, "default": 10000,
      "description": "Largest `limit` of a list page."},
    "max_txn_operations": {"type": "integer", "minimum": 1, "maximum": 65536, "default": 128,
      "description": "Compares, and operations of each branch, in one transaction; not above limits.txn_operations_max."},
    "max_batch_operations": {"type": "integer", "minimum": 1, "maximum": 10000, "default": 1000,
      "description": "Operations of one batch."},
    "max_header_bytes": {"type": "integer", "minimum": 1024, "maximum": 65536, "default": 32768,
      "description": "Request line and header fields together; beyond it 431."},
    "request_timeout_ms": {"type": "integer", "minimum": 0, "maximum": 86400000, "default": 0,
      "description": "Deadline of a request that names none; 0: the engine's default."},
    "header_timeout_ms": {"type": "integer", "minimum": 1, "maximum": 600000, "default": 5000,
      "description": "From the first byte of a request to the end of its header."},
    "body_timeout_ms": {"type": "integer", "minimum": 1, "maximum": 600000, "default": 10000,
      "description": "Waiting for the body, beyond what its size allows; then 408."},
    "send_timeout_ms": {"type": "integer", "minimum": 1, "maximum": 600000, "default": 10000,
      "description": "Waiting for the client to take the answer, beyond what its size allows."},
    "min_bytes_per_second": {"type": "integer", "minimum": 1, "maximum": 1073741824,
      "default": 16384,
      "description": "The slowest sender or reader of bodies that is tolerated."},
    "keep_alive_timeout_ms": {"type": "integer", "minimum": 1, "maximum": 3600000,
      "default": 60000,
      "description": "An idle connection is closed after this; sooner when threads are wanted."},
    "watch_heartbeat_ms": {"type": "integer", "minimum": 10, "maximum": 600000, "default": 15000,
      "description": "A watch on which nothing happens sends a sign of life as often as this."}
  }
})json";

Config parse_config(const kvs_slice& config_json) {
  sdk::Options options(config_json);
  Config c{};
  c.threads = options.unsigned_integer("threads", 512, 8, 16384);
  c.max_connections = options.unsigned_integer("max_connections", 2048, 8, 65536);
  c.max_connections_per_address =
      options.unsigned_integer("max_connections_per_address", 0, 0, 65536);
  c.max_data_requests = options.unsigned_integer("max_data_requests", c.threads * 7 / 8, 1, 16384);
  c.max_waiting_requests = options.unsigned_integer("max_waiting_requests", 16, 1, 16384);
  c.max_watches = options.unsigned_integer("max_watches", 2048, 1, 65536);
  c.max_parked_requests = options.unsigned_integer("max_parked_requests", 4096, 1, 65536);
  c.max_parked_bytes =
      options.unsigned_integer("max_parked_bytes", 256ull << 20, 1ull << 20, 1ull << 36);
  c.max_key_bytes = options.unsigned_integer("max_key_bytes", 4096, 1, 8192);
  c.max_value_bytes = options.unsigned_integer("max_value_bytes", 64ull << 20, 1, 1ull << 30);
  c.max_list_items = options.unsigned_integer("max_list_items", 10000, 1, 100000);
  c.max_txn_operations = options.unsigned_integer("max_txn_operations", 128, 1, 65536);
  c.max_batch_operations = options.unsigned_integer("max_batch_operations", 1000, 1, 10000);
  c.max_header_bytes = options.unsigned_integer("max_header_bytes", 32768, 1024, 65536);
  c.request_timeout_ms = options.unsigned_integer("request_timeout_ms", 0, 0, 86400000);
  c.header_timeout_ms = options.unsigned_integer("header_timeout_ms", 5000, 1, 600000);
  c.body_timeout_ms = options.unsigned_integer("body_timeout_ms", 10000, 1, 600000);
  c.send_timeout_ms = options.unsigned_integer("send_timeout_ms", 10000, 1, 600000);
  c.min_bytes_per_second = options.unsigned_integer("min_bytes_per_second", 16384, 1, 1ull << 30);
  c.keep_alive_timeout_ms = options.unsigned_integer("keep_alive_timeout_ms", 60000, 1, 3600000);
  c.watch_heartbeat_ms = options.unsigned_integer("watch_heartbeat_ms", 15000, 10, 600000);
  options.reject_unknown();
  // Data and waiting requests together must leave threads for health and metrics.
  c.max_waiting_requests = std::min(c.max_waiting_requests, std::max<uint64_t>(1, c.threads / 16));
  c.max_data_requests = std::min(
      {c.max_data_requests, c.threads - c.threads / 8, c.threads - c.max_waiting_requests - 1});
  return c;
}

ListenAddress parse_listen_address(const std::string& text) {
  const auto bad = [&text](const char* why) {
    return sdk::Error(KVS_E_INVALID, "listen address \"" + text + "\": " + why);
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) throw bad("must be host:port");
  const auto port = parse_unsigned(std::string_view(text).substr(colon + 1));
  if (!port || *port > 65535) throw bad("the port must be 0..65535");
  ListenAddress address;
  address.host = text.substr(0, colon);
  address.port = static_cast<uint16_t>(*port);
  if (address.host.size() >= 2 && address.host.front() == '[' && address.host.back() == ']') {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    throw bad("an IPv6 address must stand in brackets");
  }
  if (address.host.empty()) address.host = "0.0.0.0";
  return address;
}

}  // namespace kvstore::http
