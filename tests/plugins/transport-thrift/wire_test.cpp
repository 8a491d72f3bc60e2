// Goal: the bytes on the wire are those of peer_link.thrift, although the plugin writes and reads
// `deliver` without the generated code.  Method: talk to it with Thrift's stock client and server.
#include <doctest/doctest.h>

#include "node.hpp"
#include "stock_peer.hpp"

namespace kvstore::transport_thrift_test {

using conformance::Node;

TEST_CASE("a stock Thrift client's deliver arrives, message by message") {
  Node node({.id = 1});
  StockClient client(node.address());
  auto answer = client.hello(KVS_LANE_LOG);
  CHECK(answer.status == KVS_OK);
  CHECK(answer.hello == "id=1");
  std::vector<std::string> messages = {"one", "", std::string(100'000, 'x'),
                                       std::string("\0\1", 2)};
  client.call().deliver(batch_of(messages));
  CHECK(node.wait([&] { return node.received_count(7, KVS_LANE_LOG) == messages.size(); }));
  CHECK(node.received(7, KVS_LANE_LOG) == messages);
}

TEST_CASE("a stock Thrift server reads what the plugin sends") {
  StockServer server;
  Node node({.id = 1});
  node.set_peer(2, server.address());
  REQUIRE(node.connected(2));
  kvs_tx_message m[2] = {node.outbox().make({"he", "llo"}), node.outbox().make({})};
  uint32_t accepted = 0;
  REQUIRE(conformance::api().send(node.raw(), 2, KVS_LANE_CLIENT, m, 2, &accepted, nullptr) ==
          KVS_OK);
  std::string all;
  CHECK(node.wait([&] {
    all.clear();
    for (const std::string& b : server.batches()) all += b;
    return all.size() >= 13;
  }));
  CHECK(all == batch_of({"hello", ""}));
}

TEST_CASE("a refusal with a status that is none reaches the host as INCOMPATIBLE") {
  for (int32_t verdict : {-999, 1, int32_t{KVS_E_CONFLICT}}) {
    StockServer server;
    server.verdict.store(verdict);
    Node node({.id = 1});
    node.set_peer(2, server.address());
    CHECK(node.wait([&] { return !node.events(KVS_PEER_REJECTED).empty(); }));
    auto event = node.events(KVS_PEER_REJECTED).front();
    CHECK(event.why == (verdict == KVS_E_CONFLICT ? KVS_E_CONFLICT : KVS_E_INCOMPATIBLE));
    CHECK(event.message == "verdict");
  }
}

TEST_CASE("many messages share a frame") {
  Node a({.id = 1}), b({.id = 2});
  a.set_peer(b);
  REQUIRE(a.connected(2));
  std::vector<kvs_tx_message> all;
  for (int i = 0; i < 10'000; ++i) all.push_back(a.outbox().make({"small"}));
  uint32_t accepted = 0;
  conformance::api().send(a.raw(), 2, KVS_LANE_LOG, all.data(), 10'000, &accepted, nullptr);
  REQUIRE(accepted == 10'000);
  CHECK(b.wait([&] { return b.received_count(1, KVS_LANE_LOG) == 10'000; }));
  std::string stats;
  conformance::api().stats(
      a.raw(),
      [](void* ctx, const kvs_slice* s) noexcept -> kvs_status {
        static_cast<std::string*>(ctx)->assign(reinterpret_cast<const char*>(s->data), s->len);
        return KVS_OK;
      },
      &stats);
  CHECK_MESSAGE(stats.find("\"frames_sent\":3,") != std::string::npos, stats);  // 4096 to a frame
}

TEST_CASE("a stock client's stream arrives, and the calls have an order") {
  Node node({.id = 1});
  StockClient client(node.address());
  CHECK(client.hello(kStream).status == KVS_OK);
  transport_thrift::wire::Answer answer;
  client.call().streamOpen(answer, "header", 8);
  CHECK(answer.status == KVS_OK);
  client.call().streamChunk(answer, "12345678");
  CHECK(answer.status == KVS_OK);
  client.call().streamFinish(answer);
  CHECK(answer.status == KVS_OK);
  CHECK(node.streams().at(0)->bytes == 8);
  CHECK(client.closed_by_other_side());

  StockClient early(node.address());
  CHECK(early.hello(kStream).status == KVS_OK);
  CHECK_THROWS(early.call().streamChunk(answer, "no open before"));
  StockClient lane(node.address());
  CHECK(lane.hello(KVS_LANE_LOG).status == KVS_OK);
  CHECK_THROWS(lane.call().streamOpen(answer, "on a lane", 0));
  StockClient stream(node.address());
  CHECK(stream.hello(kStream).status == KVS_OK);
  stream.call().deliver(batch_of({"on a stream"}));
  CHECK(stream.closed_by_other_side());
  CHECK(node.streams().size() == 1);
}

}  // namespace kvstore::transport_thrift_test
