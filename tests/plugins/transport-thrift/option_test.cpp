// Goal: every option in the schema exists, has the range it states, and is refused by name outside
// of it. Method: read the schema from the manifest and try both sides of each bound.
#include <kvstore/sdk/slice.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "node.hpp"

namespace kvstore::transport_thrift_test {

using conformance::api;
using conformance::NodeOptions;

namespace {

// Opens and closes; the message of a failure.
std::string try_open(const NodeOptions& options) {
  kvs_transport_events events{};
  events.struct_size = sizeof events;
  events.on_messages = [](void*, const kvs_rx_message*, uint32_t) noexcept {};
  events.on_peer = [](void*, const kvs_peer_event*) noexcept {};
  events.on_hello = [](void*, const kvs_hello*, kvs_node_id*, kvs_error*) noexcept -> kvs_status {
    return KVS_E_INVALID;
  };
  events.on_stream = [](void*, const kvs_stream_info*, kvs_rx_stream*) noexcept -> kvs_status {
    return KVS_E_INVALID;
  };
  kvs_transport_options o{};
  o.struct_size = sizeof o;
  o.listen_address = sdk::slice(options.listen);
  o.config_json = sdk::slice(options.config);
  o.lane_queue_bytes_max = options.lane_queue_bytes_max;
  o.message_bytes_max = options.message_bytes_max;
  o.events = &events;
  kvs_error err = conformance::new_error();
  kvs_transport* t = nullptr;
  kvs_status s = api().open(conformance::test_host(), &o, &t, &err);
  if (s != KVS_OK) {
    CHECK(s == KVS_E_INVALID);
    return err.message;
  }
  api().close(t);
  return "";
}

std::string try_option(const std::string& key, const nlohmann::json& value) {
  NodeOptions options;
  nlohmann::json config = {{key, value}};
  if (key == "backoff_min_ms") config["backoff_max_ms"] = 60'000;
  if (key == "backoff_max_ms") config["backoff_min_ms"] = 1;
  options.config = config.dump();
  return try_open(options);
}

}  // namespace

TEST_CASE("the schema's options exist with the stated ranges") {
  auto schema = nlohmann::json::parse(conformance::manifest().config_schema);
  CHECK(schema["properties"].size() == 10);
  for (const auto& [key, property] : schema["properties"].items()) {
    CAPTURE(key);
    uint64_t min = property["minimum"];
    uint64_t max = property["maximum"];
    CHECK(try_option(key, min) == "");
    CHECK(try_option(key, max) == "");
    CHECK(try_option(key, property["default"]) == "");
    CHECK(try_option(key, min - 1).find("/" + key) != std::string::npos);
    CHECK(try_option(key, max + 1).find("/" + key) != std::string::npos);
    CHECK(try_option(key, "text").find("/" + key) != std::string::npos);
  }
}

TEST_CASE("back-off bounds in the wrong order are refused") {
  NodeOptions options;
  options.config = R"({"backoff_min_ms": 500, "backoff_max_ms": 100})";
  CHECK(try_open(options).find("backoff_min_ms") != std::string::npos);
}

TEST_CASE("limits of the host that make no sense are refused") {
  NodeOptions options;
  options.message_bytes_max = 0;
  CHECK(try_open(options).find("message_bytes_max") != std::string::npos);
  options.message_bytes_max = (1ull << 30) + 1;
  CHECK(try_open(options).find("message_bytes_max") != std::string::npos);
  options.message_bytes_max = 1;
  options.lane_queue_bytes_max = 0;
  CHECK(try_open(options).find("lane_queue_bytes_max") != std::string::npos);
}

TEST_CASE("a listen address that is none is refused at open, by its text") {
  for (const char* text :
       {"", "nowhere", ":1", "host:", "host:65536", "::1:70", "[::1]", "[name]:1", "a:b"}) {
    CAPTURE(text);
    NodeOptions options;
    options.listen = text;
    CHECK(try_open(options).find("'" + std::string(text) + "'") != std::string::npos);
  }
}

}  // namespace kvstore::transport_thrift_test
