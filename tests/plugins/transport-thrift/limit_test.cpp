// Goal: time limits end what they should end and nothing else; Thrift's hidden limits are out of
// the way. Method: options with short times, and hosts or peers that are slower than those.
#include <chrono>
#include <thread>

#include <kvstore/sdk/slice.hpp>

#include <doctest/doctest.h>

#include "node.hpp"
#include "stock_peer.hpp"

namespace kvstore::transport_thrift_test {

using conformance::api;
using conformance::Node;
using conformance::NodeOptions;
using conformance::Received;

namespace {

NodeOptions with(kvs_node_id id, const std::string& config) {
  NodeOptions options;
  options.id = id;
  options.config = config;
  return options;
}

kvs_tx_stream* open_stream(Node& from, kvs_node_id to, kvs_status expected = KVS_OK) {
  kvs_slice header = sdk::slice("header");
  kvs_tx_stream* st = nullptr;
  CHECK(api().stream_open(from.raw(), to, &header, 0, 30'000, &st, nullptr) == expected);
  return st;
}

kvs_status write(kvs_tx_stream* st, const std::string& chunk) {
  kvs_slice c = sdk::slice(chunk);
  return api().stream_write(st, &c, 30'000, nullptr);
}

void pause_ms(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

}  // namespace

TEST_CASE("the hello's time limit is over with the hello") {
  const std::string config = R"({"hello_timeout_ms": 30, "connect_timeout_ms": 30})";
  Node a(with(1, config)), b(with(2, config));
  a.set_peer(b);
  REQUIRE(a.connected(2));
  pause_ms(150);
  for (uint32_t lane = 0; lane < KVS_LANE_COUNT; ++lane) {
    CHECK(a.send(2, lane, "late") == KVS_OK);
    CHECK(b.wait([&] { return b.received_count(1, lane) == 1; }));
  }
  CHECK(a.events(KVS_PEER_CONNECTED).size() == 1);
}

TEST_CASE("an idle incoming stream is aborted; a slow sink is not idle") {
  Node a(with(1, "")), b(with(2, R"({"stream_idle_timeout_ms": 100})"));
  b.accept_stream = [](Received& r) {
    r.on_write = [](const std::string& chunk) -> kvs_status {
      if (chunk == "slow") pause_ms(300);
      return KVS_OK;
    };
    return KVS_OK;
  };
  a.set_peer(b);
  kvs_tx_stream* st = open_stream(a, 2);
  CHECK(write(st, "slow") == KVS_OK);
  CHECK(write(st, "quick") == KVS_OK);
  auto r = b.streams().at(0);
  CHECK(b.wait([&] { return r->aborted == 1; }));
  CHECK(write(st, "too late") == KVS_E_UNREACHABLE);
  api().stream_abort(st);
}

TEST_CASE("incoming streams are bounded in number, and a place comes free with each that ends") {
  Node a(with(1, "")), b(with(2, R"({"incoming_streams_max": 2})"));
  a.set_peer(b);
  kvs_tx_stream* first = open_stream(a, 2);
  kvs_tx_stream* second = open_stream(a, 2);
  open_stream(a, 2, KVS_E_BUSY);
  CHECK(api().stream_finish(first, 30'000, nullptr) == KVS_OK);
  kvs_tx_stream* third = open_stream(a, 2);
  api().stream_abort(second);
  CHECK(b.wait([&] { return b.streams().at(1)->aborted == 1; }));
  api().stream_abort(third);
}

TEST_CASE("more than 300 MiB through one stream, whatever Thrift counts") {
  Node a(with(1, "")), b(with(2, ""));
  a.set_peer(b);
  kvs_tx_stream* st = open_stream(a, 2);
  const std::string chunk(1 << 20, 'c');
  for (int i = 0; i < 310; ++i) REQUIRE(write(st, chunk) == KVS_OK);
  CHECK(api().stream_finish(st, 30'000, nullptr) == KVS_OK);
  CHECK(b.streams().at(0)->bytes == 310u << 20);
}

TEST_CASE("a chunk above the limit is INVALID") {
  Node a(with(1, "")), b(with(2, ""));
  a.set_peer(b);
  kvs_tx_stream* st = open_stream(a, 2);
  CHECK(write(st, std::string((1 << 20) + (64 << 10), 'x')) == KVS_OK);
  CHECK(write(st, std::string((1 << 20) + (64 << 10) + 1, 'x')) == KVS_E_INVALID);
  api().stream_abort(st);
}

TEST_CASE("a peer that acknowledges nothing is disconnected, and everything for it released") {
  StockServer server;
  Node node(with(1, R"({"dead_peer_timeout_ms": 1000})"));
  node.set_peer(2, server.address());
  REQUIRE(node.connected(2));
  server.reading.store(false);
  // All the buffers on the way must be full before there is something unacknowledged.
  CHECK(node.wait([&] {
    while (node.send(2, KVS_LANE_LOG, std::string(64 << 10, 'x')) == KVS_OK) {
    }
    return !node.events(KVS_PEER_DISCONNECTED).empty();
  }));
  CHECK(node.wait([&] { return node.outbox().released() == node.outbox().made(); }));
}

TEST_CASE("peers are bounded in number") {
  Node node(with(1, R"({"peers_max": 2})"));
  auto set = [&](kvs_node_id id) {
    kvs_peer p{};
    p.struct_size = sizeof p;
    p.id = id;
    p.address = sdk::slice("127.0.0.1:1");
    kvs_error err = conformance::new_error();
    kvs_status s = api().peer_set(node.raw(), &p, &err);
    if (s != KVS_OK) CHECK(std::string(err.message).find("peers_max") != std::string::npos);
    return s;
  };
  CHECK(set(2) == KVS_OK);
  CHECK(set(3) == KVS_OK);
  CHECK(set(4) == KVS_E_BUSY);
  CHECK(set(3) == KVS_OK);
  CHECK(node.remove_peer(2) == KVS_OK);
  CHECK(node.wait([&] { return set(4) == KVS_OK; }));
}

}  // namespace kvstore::transport_thrift_test
