// Goal: a receiver that takes nothing costs the sender a bounded queue and nothing else: no blocked
// thread, no other lane, no lost release.  Method: the receiving host holds its callback until told
// otherwise.
#include <algorithm>
#include <chrono>
#include <thread>

#include <doctest/doctest.h>

#include "node.hpp"

namespace kvstore::conformance {
namespace {

NodeOptions small_queue() {
  NodeOptions options;
  options.lane_queue_bytes_max = 256 << 10;
  return options;
}

// Sends until the lane refuses; how many were taken.  That this returns at all shows that send
// never waits.
uint64_t fill(Node& from, kvs_node_id to, uint32_t lane) {
  const std::string message(16 << 10, 'm');
  for (uint64_t taken = 0;; ++taken) {
    kvs_status s = from.send(to, lane, message);
    if (s == KVS_E_BUSY) return taken;
    REQUIRE(s == KVS_OK);
    REQUIRE(taken < 100'000);  // 1.6 GB: no bound in sight
  }
}

size_t writables(const Node& node, uint32_t lane) {
  auto all = node.events(KVS_PEER_WRITABLE);
  return static_cast<size_t>(
      std::count_if(all.begin(), all.end(), [&](const Event& e) { return e.lane == lane; }));
}

}  // namespace

TEST_CASE(
    "a receiver that takes nothing: send never waits, says BUSY, and later exactly one WRITABLE") {
  Pair pair(small_queue(), small_queue());
  pair.b.close_gate(KVS_LANE_LOG);
  // The network between the two may take a while to fill: BUSY must stay at the end.
  uint64_t taken = 0;
  for (int quiet = 0; quiet < 20;) {
    uint64_t n = fill(pair.a, 2, KVS_LANE_LOG);
    taken += n;
    quiet = n == 0 ? quiet + 1 : 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  size_t before = writables(pair.a, KVS_LANE_LOG);
  CHECK(pair.a.send(2, KVS_LANE_LOG, std::string(16 << 10, 'm')) == KVS_E_BUSY);
  pair.b.open_gate(KVS_LANE_LOG);
  CHECK(pair.a.wait([&] { return writables(pair.a, KVS_LANE_LOG) > before; }));
  CHECK(pair.b.wait([&] { return pair.b.received_count(1, KVS_LANE_LOG) == taken; }));
  CHECK(pair.a.send(2, KVS_LANE_LOG, "last") == KVS_OK);
  CHECK(pair.b.wait([&] { return pair.b.received_count(1, KVS_LANE_LOG) == taken + 1; }));
  CHECK(writables(pair.a, KVS_LANE_LOG) == before + 1);
  CHECK(pair.a.wait([&] { return pair.a.outbox().released() == pair.a.outbox().made(); }));
}

TEST_CASE("a blocked LOG lane holds up neither CONTROL nor CLIENT") {
  Pair pair(small_queue(), small_queue());
  pair.b.close_gate(KVS_LANE_LOG);
  fill(pair.a, 2, KVS_LANE_LOG);
  for (int i = 0; i < 50; ++i) {
    CHECK(pair.a.send(2, KVS_LANE_CONTROL, "beat") == KVS_OK);
    CHECK(pair.a.send(2, KVS_LANE_CLIENT, "request") == KVS_OK);
  }
  CHECK(pair.b.wait([&] { return pair.b.received_count(1, KVS_LANE_CONTROL) == 50; }));
  CHECK(pair.b.wait([&] { return pair.b.received_count(1, KVS_LANE_CLIENT) == 50; }));
  CHECK(pair.b.received_count(1, KVS_LANE_LOG) == 0);
  CHECK(writables(pair.a, KVS_LANE_CONTROL) == 0);
}

TEST_CASE("a message larger than the queue passes when the queue is empty") {
  NodeOptions options;
  options.lane_queue_bytes_max = 4096;
  Pair pair(options, options);
  CHECK(pair.a.send_surely(2, KVS_LANE_LOG, std::string(100'000, 'x')));
  CHECK(pair.a.send_surely(2, KVS_LANE_LOG, std::string(100'000, 'y')));
  CHECK(pair.b.wait([&] { return pair.b.received_count(1, KVS_LANE_LOG) == 2; }));
}

TEST_CASE("empty messages are bounded too") {
  NodeOptions options;
  options.lane_queue_bytes_max = 16 << 10;
  Pair pair(options, options);
  pair.b.close_gate(KVS_LANE_LOG);
  kvs_status s = KVS_OK;
  for (int i = 0; i < 5'000'000 && s == KVS_OK; ++i) {
    static const kvs_tx_message nothing{nullptr, 0, 0, nullptr, [](void*) noexcept {}};
    uint32_t accepted = 0;
    s = api().send(pair.a.raw(), 2, KVS_LANE_LOG, &nothing, 1, &accepted, nullptr);
  }
  CHECK(s == KVS_E_BUSY);
}

TEST_CASE(
    "every accepted message is released exactly once when its session, its peer or all ends") {
  SUBCASE("the other node goes away") {
    Node a({.id = 1, .lane_queue_bytes_max = 256 << 10});
    {
      Node b({.id = 2});
      a.set_peer(b);
      REQUIRE(a.connected(2));
      b.close_gate(KVS_LANE_LOG);
      fill(a, 2, KVS_LANE_LOG);
    }
    CHECK(a.wait([&] { return a.outbox().released() == a.outbox().made(); }));
    CHECK(a.wait([&] { return !a.events(KVS_PEER_DISCONNECTED).empty(); }));
  }
  SUBCASE("the peer is removed") {
    Pair pair(small_queue(), small_queue());
    pair.b.close_gate(KVS_LANE_LOG);
    fill(pair.a, 2, KVS_LANE_LOG);
    pair.b.open_gate(KVS_LANE_LOG);
    CHECK(pair.a.remove_peer(2) == KVS_OK);
    CHECK(pair.a.outbox().released() == pair.a.outbox().made());
  }
  SUBCASE("the transport is stopped") {
    Pair pair(small_queue(), small_queue());
    for (int i = 0; i < 1000; ++i) {
      for (uint32_t lane = 0; lane < KVS_LANE_COUNT; ++lane)
        pair.a.send(2, lane, std::string(5000, 's'));
    }
    pair.a.stop();
    CHECK(pair.a.outbox().released() == pair.a.outbox().made());
  }
}

}  // namespace kvstore::conformance
