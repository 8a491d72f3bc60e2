// Goal: what is accepted arrives whole, once, in order per lane, and on the lane it was sent on.
// Method: numbered messages of many sizes and shapes between two instances.
#include <algorithm>
#include <chrono>
#include <thread>

#include <doctest/doctest.h>

#include "node.hpp"

namespace kvstore::conformance {
namespace {

std::string pattern(size_t size) {
  std::string s(size, '\0');
  for (size_t i = 0; i < size; ++i) s[i] = static_cast<char>(i * 7 + i / 251);
  return s;
}

// Sends count numbered messages in arrays of up to 100, resuming after the accepted prefix.
bool send_numbered(Node& from, kvs_node_id to, uint32_t lane, int count) {
  std::vector<kvs_tx_message> all;
  for (int i = 0; i < count; ++i) all.push_back(from.outbox().make({std::to_string(i)}));
  size_t sent = 0;
  return from.wait([&] {
    while (sent < all.size()) {
      auto n = static_cast<uint32_t>(std::min<size_t>(100, all.size() - sent));
      uint32_t accepted = 0;
      kvs_status s = api().send(from.raw(), to, lane, &all[sent], n, &accepted, nullptr);
      sent += accepted;
      if (s == KVS_OK && accepted != n) return false;
      if (s == KVS_E_BUSY) return false;
      if (s != KVS_OK) {
        FAIL_CHECK("send: " << s);
        return true;
      }
    }
    return true;
  });
}

}  // namespace

TEST_CASE("100,000 messages on each lane arrive in order, once") {
  Pair pair;
  const int count = 100'000;
  std::vector<std::thread> senders;
  for (uint32_t lane = 0; lane < KVS_LANE_COUNT; ++lane) {
    senders.emplace_back([&, lane] { CHECK(send_numbered(pair.a, 2, lane, count)); });
  }
  for (std::thread& t : senders) t.join();
  for (uint32_t lane = 0; lane < KVS_LANE_COUNT; ++lane) {
    CHECK(pair.b.wait([&] { return pair.b.received_count(1, lane) >= count; }));
    std::vector<std::string> got = pair.b.received(1, lane);
    REQUIRE(got.size() == static_cast<size_t>(count));
    int wrong = 0;
    for (int i = 0; i < count; ++i)
      wrong += got[static_cast<size_t>(i)] == std::to_string(i) ? 0 : 1;
    CHECK(wrong == 0);
  }
  CHECK(pair.a.wait([&] { return pair.a.outbox().released() == 3u * count; }));
}

TEST_CASE("gather parts are joined exactly, empty ones included") {
  Pair pair;
  std::vector<std::vector<std::string>> shapes = {
      {},
      {""},
      {"a"},
      {"", "b", ""},
      {"one ", "two ", "three"},
      {std::string(1, '\0'), "x", pattern(100'000), "end"},
      std::vector<std::string>(1000, "part.")};
  std::vector<std::string> expected;
  for (const auto& parts : shapes) {
    std::string whole;
    for (const std::string& p : parts) whole += p;
    expected.push_back(whole);
    kvs_tx_message m = pair.a.outbox().make(parts);
    uint32_t accepted = 0;
    REQUIRE(api().send(pair.a.raw(), 2, KVS_LANE_LOG, &m, 1, &accepted, nullptr) == KVS_OK);
  }
  CHECK(pair.b.wait([&] { return pair.b.received_count(1, KVS_LANE_LOG) == expected.size(); }));
  CHECK(pair.b.received(1, KVS_LANE_LOG) == expected);
  CHECK(pair.a.wait([&] { return pair.a.outbox().released() == pair.a.outbox().made(); }));
}

TEST_CASE("every size from 0 to the limit passes; above it is INVALID and stays untouched") {
  const size_t limit = 300'000;
  NodeOptions options;
  options.message_bytes_max = limit;
  Pair pair(options, options);
  std::vector<size_t> sizes = {0,      1,      2,       3,       4,       5,       127,    128,
                               4095,   4096,   4097,    16'383,  16'384,  16'385,  65'535, 65'536,
                               65'537, 99'999, 131'071, 131'073, 262'144, 299'999, limit};
  std::vector<std::string> expected;
  for (size_t size : sizes) {
    expected.push_back(pattern(size));
    CHECK(pair.a.send_surely(2, KVS_LANE_CLIENT, expected.back()));
  }
  uint64_t made = pair.a.outbox().made();
  kvs_tx_message two[2] = {pair.a.outbox().make({"good"}),
                           pair.a.outbox().make({pattern(limit), "x"})};
  uint32_t accepted = 9;
  CHECK(api().send(pair.a.raw(), 2, KVS_LANE_CLIENT, two, 2, &accepted, nullptr) == KVS_E_INVALID);
  CHECK(accepted == 1);
  expected.push_back("good");
  CHECK(pair.b.wait([&] { return pair.b.received_count(1, KVS_LANE_CLIENT) == expected.size(); }));
  CHECK(pair.b.received(1, KVS_LANE_CLIENT) == expected);
  CHECK(pair.a.wait([&] { return pair.a.outbox().released() == made + 1; }));
}

TEST_CASE("unknown peer: UNREACHABLE; unknown lane: INVALID; nothing taken; no messages: OK") {
  Pair pair;
  kvs_tx_message m = pair.a.outbox().make({"x"});
  uint32_t accepted = 9;
  CHECK(api().send(pair.a.raw(), 99, KVS_LANE_LOG, &m, 1, &accepted, nullptr) == KVS_E_UNREACHABLE);
  CHECK(accepted == 0);
  accepted = 9;
  CHECK(api().send(pair.a.raw(), 2, KVS_LANE_COUNT, &m, 1, &accepted, nullptr) == KVS_E_INVALID);
  CHECK(accepted == 0);
  CHECK(api().send(pair.a.raw(), 2, KVS_LANE_LOG, nullptr, 0, &accepted, nullptr) == KVS_OK);
  CHECK(pair.a.outbox().released() == 0);
}

TEST_CASE("a peer that was never reached: UNREACHABLE") {
  Node a({.id = 1});
  a.set_peer(2, "127.0.0.1:1");
  CHECK(a.send(2, KVS_LANE_LOG, "x") == KVS_E_UNREACHABLE);
}

TEST_CASE("more than 300 MiB through one connection without a reconnect") {
  NodeOptions options;
  options.lane_queue_bytes_max = 8 << 20;
  Pair pair(options, options);
  pair.b.keep_messages = false;
  const std::string mebibyte = pattern(1 << 20);
  const uint64_t count = 320;
  for (uint64_t i = 0; i < count; ++i) REQUIRE(pair.a.send_surely(2, KVS_LANE_LOG, mebibyte));
  CHECK(pair.b.wait([&] { return pair.b.received_count(1, KVS_LANE_LOG) == count; }));
  CHECK(pair.a.events(KVS_PEER_CONNECTED).size() == 1);
  CHECK(pair.a.events(KVS_PEER_DISCONNECTED).empty());
}

TEST_CASE("three nodes, everybody to everybody") {
  Node a({.id = 1}), b({.id = 2}), c({.id = 3});
  std::vector<Node*> nodes = {&a, &b, &c};
  for (Node* from : nodes) {
    for (Node* to : nodes) {
      if (from != to) from->set_peer(*to);
    }
  }
  for (Node* from : nodes) {
    for (Node* to : nodes) {
      if (from == to) continue;
      CHECK(from->connected(to->id()));
      CHECK(from->send(to->id(), KVS_LANE_CONTROL, "to " + std::to_string(to->id())) == KVS_OK);
    }
  }
  for (Node* from : nodes) {
    for (Node* to : nodes) {
      if (from == to) continue;
      CHECK(to->wait([&] { return to->received_count(from->id(), KVS_LANE_CONTROL) == 1; }));
      CHECK(to->received(from->id(), KVS_LANE_CONTROL).front() == "to " + std::to_string(to->id()));
    }
  }
}

}  // namespace kvstore::conformance
