// Goal: whatever arrives on a port that anybody can reach, only its own connection suffers. Method:
// send every kind of nonsense, and see that the connection is closed and a good peer still gets
// through.
#include <chrono>
#include <thread>

#include <doctest/doctest.h>

#include "node.hpp"
#include "stock_peer.hpp"

namespace kvstore::transport_thrift_test {

using conformance::Node;
using conformance::NodeOptions;

namespace {

NodeOptions with(const std::string& config) {
  NodeOptions options;
  options.config = config;
  return options;
}

std::string framed(uint32_t size, const std::string& body) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(size >> shift));
  return out + body;
}

void check_healthy(Node& node) {
  static std::atomic<uint64_t> number{1000};
  uint64_t id = number++;
  StockClient good(node.address());
  REQUIRE(good.hello(KVS_LANE_CONTROL, "id=" + std::to_string(id)).status == KVS_OK);
  good.call().deliver(batch_of({"still here"}));
  CHECK(node.wait([&] { return node.received_count(id, KVS_LANE_CONTROL) == 1; }));
}

bool gets_in(Node& node) {
  try {
    return StockClient(node.address()).hello(KVS_LANE_CONTROL).status == KVS_OK;
  } catch (const apache::thrift::TException&) {
    return false;
  }
}

}  // namespace

TEST_CASE("bytes that are no frame, no Thrift, or no hello close the connection") {
  Node node(with(R"({"hello_timeout_ms": 200})"));
  const std::string hello_like = std::string("\x80\x01\x00\x01\x00\x00\x00\x05hello", 13);
  std::vector<std::string> nonsense = {
      "GET / HTTP/1.1\r\n\r\n",
      framed(0xffffffff, "negative"),
      framed(0x7fffffff, "two gigabytes"),
      framed(16 * 1024 + 1, "more than a stranger may send"),
      framed(0, ""),
      framed(4, "abcd"),
      framed(13, hello_like),
      // A string that claims 2 GB inside a small frame.
      framed(17, std::string("\x80\x01\x00\x01\x7f\xff\xff\xff", 8) + "hello\0\0\0\0"),
      framed(40, hello_like + std::string(27, '\x0c')),
  };
  for (const std::string& bytes : nonsense) {
    CAPTURE(bytes);
    RawClient raw(node.address());
    raw.send(bytes);
    // For those that are short of their frame: the end of the hello time does it.
    CHECK(raw.closed_by_other_side());
  }
  check_healthy(node);
}

TEST_CASE("calls before the hello, unknown calls and a second hello close the connection") {
  Node node({});
  StockClient early(node.address());
  early.call().deliver(batch_of({"too early"}));
  CHECK(early.closed_by_other_side());
  StockClient twice(node.address());
  CHECK(twice.hello(KVS_LANE_LOG).status == KVS_OK);
  CHECK_THROWS(twice.hello(KVS_LANE_LOG));
  CHECK(node.received_count(0, KVS_LANE_LOG) == 0);
  check_healthy(node);
}

TEST_CASE("hellos of another protocol, for no lane, or too large are answered with the reason") {
  Node node({});
  auto other = StockClient(node.address()).hello(KVS_LANE_LOG, "id=7", 2);
  CHECK(other.status == KVS_E_INCOMPATIBLE);
  CHECK(other.message.find("version 2") != std::string::npos);
  CHECK(other.message.find("version 1") != std::string::npos);
  CHECK(StockClient(node.address()).hello(3).status == KVS_E_INVALID);
  CHECK(StockClient(node.address()).hello(-1).status == KVS_E_INVALID);
  CHECK(StockClient(node.address()).hello(KVS_LANE_LOG, std::string(4097, 'h')).status ==
        KVS_E_INVALID);
  CHECK(node.greetings().empty());
  check_healthy(node);
}

TEST_CASE("malformed batches close only their connection and deliver nothing of themselves") {
  NodeOptions options;
  options.message_bytes_max = 10'000;
  Node node(options);
  std::vector<std::string> batches = {
      "",
      "ab",
      batch_of({"good"}) + "x",
      batch_of({"good"}) + std::string("\xff\xff\xff\xff", 4),
      batch_of({std::string(10'001, 'x')}),
      batch_of(std::vector<std::string>(4097)),
  };
  for (const std::string& batch : batches) {
    StockClient client(node.address());
    REQUIRE(client.hello(KVS_LANE_LOG).status == KVS_OK);
    client.call().deliver(batch);
    CHECK(client.closed_by_other_side());
  }
  CHECK(node.received_count(7, KVS_LANE_LOG) == 0);
  check_healthy(node);
}

TEST_CASE("without a hello in time the connection is closed, also when bytes keep trickling") {
  Node node(with(R"({"hello_timeout_ms": 100})"));
  RawClient silent(node.address());
  CHECK(silent.send("\x01"));
  CHECK(silent.closed_by_other_side());
  RawClient trickle(node.address());
  std::string body = framed(4000, std::string(4000, 'x'));
  bool open = true;
  for (size_t i = 0; open && i < body.size(); ++i) {
    open = trickle.send(body.substr(i, 1));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(!open);
  check_healthy(node);
}

TEST_CASE(
    "connections are bounded in number: the next is closed, those there stay, room comes back") {
  Node node(with(R"({"incoming_connections_max": 4})"));
  std::vector<std::unique_ptr<StockClient>> there;
  for (int i = 0; i < 4; ++i) {
    there.push_back(std::make_unique<StockClient>(node.address()));
    CHECK(there.back()->hello(KVS_LANE_LOG).status == KVS_OK);
  }
  RawClient surplus(node.address());
  CHECK(surplus.closed_by_other_side());
  there[0]->call().deliver(batch_of({"still"}));
  CHECK(node.wait([&] { return node.received_count(7, KVS_LANE_LOG) == 1; }));
  there.pop_back();
  CHECK(node.wait([&] { return gets_in(node); }));
}

TEST_CASE("a crowd of strangers that say nothing keeps no peer out") {
  Node node(with(R"({"incoming_connections_max": 8, "hello_timeout_ms": 60000})"));
  StockClient before(node.address());
  REQUIRE(before.hello(KVS_LANE_LOG).status == KVS_OK);
  std::vector<std::unique_ptr<RawClient>> crowd;
  for (int i = 0; i < 300; ++i) {
    crowd.push_back(std::make_unique<RawClient>(node.address()));
    if (i % 2 == 0) crowd.back()->send(std::string("\0\0\x10\0half", 8));
    // A peer dials again when it comes in the midst of a rush.
    if (i % 50 == 49) CHECK(node.wait([&] { return gets_in(node); }));
  }
  CHECK(crowd.front()->closed_by_other_side());
  // The one that had said hello was never in their way.
  before.call().deliver(batch_of({"still here"}));
  CHECK(node.wait([&] { return node.received_count(7, KVS_LANE_LOG) == 1; }));
}

}  // namespace kvstore::transport_thrift_test
