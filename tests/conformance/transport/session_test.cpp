// Goal: connections end and begin as told: restarts, moves, removals and stops under load.  Method:
// do each of them while messages flow, and look at the events and the releases.
#include <algorithm>
#include <atomic>
#include <thread>

#include <doctest/doctest.h>

#include "node.hpp"

namespace kvstore::conformance {
namespace {

// Keeps sending on all lanes until told to stop.
class Load {
 public:
  Load(Node& from, kvs_node_id to) {
    thread_ = std::thread([this, &from, to] {
      for (uint64_t i = 0; !stop_.load(); ++i) {
        for (uint32_t lane = 0; lane < KVS_LANE_COUNT; ++lane) {
          if (from.send(to, lane, std::string(100 + i % 3000, 'l')) == KVS_OK) taken_++;
        }
        if (i % 16 == 0) std::this_thread::yield();
      }
    });
  }
  ~Load() { end(); }
  void end() {
    stop_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  uint64_t taken() const { return taken_.load(); }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> taken_{0};
  std::thread thread_;
};

}  // namespace

TEST_CASE("a restarted peer is a new, larger session, without any traffic to notice it") {
  Node a({.id = 1});
  auto b = std::make_unique<Node>(NodeOptions{.id = 2});
  const std::string address = b->address();
  a.set_peer(*b);
  REQUIRE(a.connected(2));
  b.reset();
  CHECK(a.wait([&] { return a.events(KVS_PEER_DISCONNECTED).size() == 1; }));
  CHECK(a.send(2, KVS_LANE_LOG, "x") == KVS_E_UNREACHABLE);
  b = std::make_unique<Node>(NodeOptions{.id = 2, .listen = address});
  REQUIRE(a.wait([&] { return a.events(KVS_PEER_CONNECTED).size() == 2; }));
  auto connected = a.events(KVS_PEER_CONNECTED);
  CHECK(connected[1].session > connected[0].session);
  CHECK(a.events(KVS_PEER_DISCONNECTED)[0].session == connected[0].session);
  CHECK(a.send(2, KVS_LANE_LOG, "again") == KVS_OK);
  CHECK(b->wait([&] { return b->received_count(1, KVS_LANE_LOG) == 1; }));
}

TEST_CASE("setting the same peer again changes nothing") {
  Pair pair;
  for (int i = 0; i < 10; ++i) pair.a.set_peer(pair.b);
  CHECK(pair.a.send(2, KVS_LANE_LOG, "x") == KVS_OK);
  CHECK(pair.b.wait([&] { return pair.b.received_count(1, KVS_LANE_LOG) == 1; }));
  CHECK(pair.a.events(KVS_PEER_CONNECTED).size() == 1);
  CHECK(pair.a.events(KVS_PEER_DISCONNECTED).empty());
}

TEST_CASE("a new address reconnects there") {
  Node a({.id = 1});
  Node here({.id = 2}), there({.id = 2});
  a.set_peer(here);
  REQUIRE(a.connected(2));
  a.set_peer(there);
  CHECK(a.wait([&] { return a.events(KVS_PEER_CONNECTED).size() == 2; }));
  CHECK(a.events(KVS_PEER_DISCONNECTED).size() == 1);
  CHECK(a.send(2, KVS_LANE_CONTROL, "x") == KVS_OK);
  CHECK(there.wait([&] { return there.received_count(1, KVS_LANE_CONTROL) == 1; }));
  CHECK(here.received_count(1, KVS_LANE_CONTROL) == 0);
}

TEST_CASE("a peer that appears later is found") {
  std::string address;
  { address = Node({.id = 2}).address(); }
  Node a({.id = 1});
  a.set_peer(2, address);
  Node b({.id = 2, .listen = address});
  CHECK(a.connected(2));
}

TEST_CASE(
    "peer_remove under load: afterwards no event of that peer, everything released, UNREACHABLE") {
  Pair pair;
  for (int round = 0; round < 5; ++round) {
    Load load(pair.a, 2);
    CHECK(pair.a.wait([&] { return load.taken() > 500; }));
    CHECK(pair.a.remove_peer(2) == KVS_OK);
    size_t events = pair.a.events().size();
    load.end();
    CHECK(pair.a.outbox().released() == pair.a.outbox().made());
    CHECK(pair.a.send(2, KVS_LANE_LOG, "x") == KVS_E_UNREACHABLE);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(pair.a.events().size() == events);
    pair.a.set_peer(pair.b);
    CHECK(
        pair.a.wait([&] { return pair.a.events(KVS_PEER_CONNECTED).size() == size_t(round) + 2; }));
  }
  auto connected = pair.a.events(KVS_PEER_CONNECTED);
  for (size_t i = 1; i < connected.size(); ++i)
    CHECK(connected[i].session > connected[i - 1].session);
}

TEST_CASE("stop under load, on either side: no callback after it, everything released") {
  for (int round = 0; round < 4; ++round) {
    Pair pair;
    pair.a.keep_messages = pair.b.keep_messages = false;
    Load there(pair.a, 2), back(pair.b, 1);
    CHECK(pair.a.wait([&] { return there.taken() > 300 && back.taken() > 300; }));
    Node& first = round % 2 == 0 ? pair.a : pair.b;
    Node& second = round % 2 == 0 ? pair.b : pair.a;
    first.stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    second.stop();
    there.end();
    back.end();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(pair.a.late_callbacks() == 0);
    CHECK(pair.b.late_callbacks() == 0);
    CHECK(pair.a.outbox().released() == pair.a.outbox().made());
    CHECK(pair.b.outbox().released() == pair.b.outbox().made());
  }
}

TEST_CASE("events of a session come in order: CONNECTED, WRITABLE within, DISCONNECTED") {
  Node a({.id = 1, .lane_queue_bytes_max = 64 << 10});
  for (int round = 0; round < 3; ++round) {
    Node b({.id = 2});
    a.set_peer(b);
    CHECK(a.wait([&] { return a.events(KVS_PEER_CONNECTED).size() == size_t(round) + 1; }));
    Load load(a, 2);
    CHECK(a.wait([&] { return load.taken() > 300; }));
  }
  CHECK(a.wait([&] { return a.events(KVS_PEER_DISCONNECTED).size() == 3; }));
  uint64_t open = 0;
  uint64_t newest = 0;
  for (const Event& e : a.events()) {
    if (e.kind == KVS_PEER_CONNECTED) {
      CHECK(open == 0);
      CHECK(e.session > newest);
      open = newest = e.session;
    } else if (e.kind == KVS_PEER_DISCONNECTED) {
      CHECK(e.session == open);
      CHECK(e.why != KVS_OK);
      open = 0;
    } else if (e.kind == KVS_PEER_WRITABLE) {
      CHECK(e.session >= open);
    }
  }
}

}  // namespace kvstore::conformance
