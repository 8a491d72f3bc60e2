// Goal: the C++ face of a transport passes everything through both ways without losing or leaking a
// buffer, and its proxy catches each broken promise of a plugin and each misuse by the host.
// Method: a transport without a network, spoilt in one way per case; events are called as a plugin
// would; host bugs run in a child process that must abort.
#include "plugin/transport.hpp"

#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "plugin/slice.hpp"
#include "unit/plugin/aborts.hpp"
#include "unit/plugin/fake_host.hpp"
#include "unit/plugin/fake_transport.hpp"

using namespace kvstore;
using plugin::ProxyOptions;
using plugin::Transport;
using plugin::TxMessage;
using plugin::TxStream;
using test::aborts;
using test::FakeHost;
using test::FakeTransport;

namespace {

struct CountingStream : plugin::RxStream {
  explicit CountingStream(std::string* log_in) : log(log_in) {}
  ~CountingStream() override { *log += "gone "; }
  Status write(Bytes chunk) override { return *log += std::string(chunk) + ' ', Status(); }
  Status finish() override { return *log += "finish ", Status(Code::kBusy, "no"); }
  void abort(Code why) override { *log += std::string(code_name(why)) + ' '; }
  std::string* log;
};

struct Events : plugin::TransportEvents {
  void on_messages(std::span<plugin::RxMessage> messages) override {
    for (plugin::RxMessage& m : messages) received.push_back(std::move(m));
  }
  void on_peer(const kvs_peer_event& event) override { peers.push_back(event.kind); }
  Result<kvs_node_id> on_hello(const kvs_hello& hello) override {
    if (hello.remote.len == 0) return Status(Code::kIncompatible, "an empty hello");
    return answer != 0 ? answer : hello.dialed;
  }
  Result<std::unique_ptr<plugin::RxStream>> on_stream(const kvs_stream_info& info) override {
    if (info.total_bytes > 100) return Status(Code::kNoSpace, "too large");
    return std::unique_ptr<plugin::RxStream>(new CountingStream(&stream_log));
  }
  std::vector<plugin::RxMessage> received;
  std::vector<uint32_t> peers;
  kvs_node_id answer = 0;
  std::string stream_log;
};

struct Fixture {
  Fixture() { test::g_fake_transport = &fake; }
  ~Fixture() { test::g_fake_transport = nullptr; }

  Result<Transport> open(bool checked = true) {
    return Transport::open(&table, host.raw(), {"hi", "h:0", "{}", 1000, 100}, &events,
                           ProxyOptions{checked, true, "fake"});
  }
  Transport started(bool checked = true) {
    Transport t = open(checked).value();
    REQUIRE(t.start());
    return t;
  }
  bool reported(const char* what) {
    std::string bugs = host.take_bugs();
    INFO(bugs);
    return bugs.find(what) != std::string::npos;
  }
  bool caught(const Status& status, const char* what) {
    return status.code() == Code::kInternal && reported(what);
  }
  // One message from the plugin; counts its release.
  void deliver(kvs_node_id from, uint32_t lane, size_t bytes) {
    static const uint8_t data[200] = {'x'};
    kvs_rx_message m{from, lane, 0, {data, bytes, &released, [](void* owner) noexcept {
                                       ++*static_cast<int*>(owner);
                                     }}};
    fake.events->on_messages(fake.events->ctx, &m, 1);
  }
  void peer_event(uint32_t kind, uint64_t session, kvs_node_id peer = 2) {
    kvs_peer_event e{};
    e.struct_size = sizeof e;
    e.kind = kind;
    e.peer = peer;
    e.session = session;
    fake.events->on_peer(fake.events->ctx, &e);
  }

  kvs_transport_api table = test::fake_transport_table();
  FakeTransport fake;
  FakeHost host;
  Events events;
  int released = 0;
};

std::vector<TxMessage> two_messages() {
  return {{SharedBytes(std::string("a")), SharedBytes(std::string("b"))},
          {SharedBytes(), SharedBytes(std::string("c"))}};
}

kvs_stream_info info(uint64_t total = 0) {
  kvs_stream_info i{};
  i.struct_size = sizeof i;
  i.from = 2;
  i.total_bytes = total;
  return i;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "everything passes through, with and without the proxy") {
  for (bool checked : {false, true}) {
    CAPTURE(checked);
    fake = FakeTransport();
    Transport t = started(checked);
    CHECK(fake.hello == "hi");
    CHECK(t.set_hello("ho"));
    CHECK(fake.hello == "ho");
    CHECK(t.bound_address().value() == "h:1");
    CHECK(t.stats().value() == "{}");
    CHECK(t.get_extension("x") == nullptr);
    CHECK(t.peer_set(2, "h:2"));
    CHECK(fake.peer_address == "h:2");
    CHECK(t.peer_remove(2));
    CHECK(fake.removed == 2);
    {
      TxStream stream = t.stream_open(2, "head", 9, 100).value();
      CHECK(stream.write("chunk", 100));
      TxStream moved = std::move(stream);
      CHECK(moved.finish(100));
      TxStream dropped = t.stream_open(2, "head", 9, 100).value();
    }
    CHECK(fake.streams == 0);
    CHECK(fake.streamed == "head");
    Transport other = std::move(t);
    other.close();
    CHECK(!fake.open);
    CHECK(!fake.started);
  }
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "a sent message stays alive until the transport releases it") {
  for (bool checked : {false, true}) {
    for (bool at_once : {false, true}) {
      fake = FakeTransport();
      fake.release_at_once = at_once;
      Transport t = started(checked);
      auto bytes = std::make_shared<std::string>("body");
      std::weak_ptr<std::string> alive = bytes;
      std::vector<TxMessage> messages{
          {SharedBytes(std::string("head")), SharedBytes(bytes, *bytes)}};
      uint32_t accepted = 0;
      CHECK(t.send(2, KVS_LANE_LOG, messages, &accepted));
      CHECK(accepted == 1);
      CHECK(fake.sent == "headbody|");
      bytes.reset();
      messages.clear();
      CHECK(alive.expired() == at_once);
      fake.release_all();
      CHECK(alive.expired());
    }
  }
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "refused messages stay with the caller") {
  for (bool checked : {false, true}) {
    fake = FakeTransport();
    fake.accept_max = 1;
    Transport t = started(checked);
    std::vector<TxMessage> messages = two_messages();
    uint32_t accepted = 9;
    CHECK(t.send(2, KVS_LANE_CONTROL, messages, &accepted).code() == Code::kBusy);
    CHECK(accepted == 1);
    CHECK(fake.sent == "ab|");
    fake.accept_max = 0;
    fake.refusal = KVS_E_UNREACHABLE;
    CHECK(t.send(2, KVS_LANE_CONTROL, messages, &accepted).code() == Code::kUnreachable);
    CHECK(t.send(2, KVS_LANE_CONTROL, {}, &accepted));
  }
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "events reach the host; payloads are released with their last copy") {
  for (bool checked : {false, true}) {
    released = 0;
    events = Events();
    Transport t = started(checked);
    deliver(2, KVS_LANE_LOG, 5);
    REQUIRE(events.received.size() == 1);
    CHECK(events.received[0].payload.size() == 5);
    CHECK(released == 0);
    events.received.clear();
    CHECK(released == 1);
    peer_event(KVS_PEER_CONNECTED, 1);
    peer_event(KVS_PEER_DISCONNECTED, 1);
    peer_event(KVS_PEER_CONNECTED, 2);
    CHECK(events.peers == std::vector<uint32_t>{1, 2, 1});

    kvs_hello hello{};
    hello.struct_size = sizeof hello;
    hello.incoming = 1;
    kvs_node_id peer = 0;
    kvs_error err{};
    err.struct_size = sizeof err;
    CHECK(fake.events->on_hello(fake.events->ctx, &hello, &peer, &err) == KVS_E_INCOMPATIBLE);
    CHECK(std::string(err.message) == "an empty hello");
    hello.remote = plugin::to_slice("x");
    events.answer = 77;
    CHECK(fake.events->on_hello(fake.events->ctx, &hello, &peer, &err) == KVS_OK);
    CHECK(peer == 77);

    kvs_rx_stream rx{};
    kvs_stream_info large = info(101), small = info(9);
    CHECK(fake.events->on_stream(fake.events->ctx, &large, &rx) == KVS_E_NO_SPACE);
    CHECK(fake.events->on_stream(fake.events->ctx, &small, &rx) == KVS_OK);
    kvs_slice chunk = plugin::to_slice("chunk");
    CHECK(rx.write(rx.ctx, &chunk) == KVS_OK);
    CHECK(rx.finish(rx.ctx) == KVS_E_BUSY);
    CHECK(fake.events->on_stream(fake.events->ctx, &small, &rx) == KVS_OK);
    rx.abort(rx.ctx, KVS_E_TIMEOUT);
    CHECK(events.stream_log == "chunk finish gone timeout gone ");
  }
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "broken promises of send and stop are reported") {
  Transport t = started();
  std::vector<TxMessage> messages = two_messages();
  uint32_t accepted = 0;
  auto send = [&] { return t.send(2, KVS_LANE_LOG, messages, &accepted); };

  SUBCASE("released twice") {
    REQUIRE(send());
    kvs_tx_message m = fake.taken[0];
    m.release(m.owner);
    CHECK(host.take_bugs() == "");
    m.release(m.owner);
    CHECK(reported("released a second time"));
    fake.taken.erase(fake.taken.begin());
  }
  SUBCASE("released although refused") {
    fake.accept_max = 0;
    fake.release_refused = true;
    CHECK(caught(send(), "released a message that it refused"));
  }
  SUBCASE("wrong counts") {
    fake.lie_about_accepted = true;
    CHECK(caught(send(), "accepted more messages"));
    fake.lie_about_accepted = false;
    fake.accept_max = 1;
    fake.refusal = KVS_OK;
    CHECK(caught(send(), "without accepting every message"));
    fake.refusal = KVS_E_INVALID;
    CHECK(caught(send(), "refused a valid message"));
  }
  SUBCASE("calls back inside send") {
    fake.call_back_in_send = true;
    CHECK(send());
    CHECK(reported("on_peer: came inside send()"));
    CHECK(events.peers.empty());
  }
  SUBCASE("keeps messages and streams after stop") {
    fake.keep_on_stop = true;
    REQUIRE(send());
    kvs_rx_stream rx{};
    kvs_stream_info i = info();
    REQUIRE(fake.events->on_stream(fake.events->ctx, &i, &rx) == KVS_OK);
    t.stop();
    std::string bugs = host.take_bugs();
    CHECK(bugs.find("did not release 2 messages") != std::string::npos);
    CHECK(bugs.find("did not end 1 incoming streams") != std::string::npos);
    fake.release_all();
    rx.abort(rx.ctx, KVS_E_CLOSED);
  }
  SUBCASE("no handle") {
    fake.null_handles = true;
    CHECK(caught(t.stream_open(2, "", 0, 1).status(), "without a handle"));
  }
}

TEST_CASE_FIXTURE(Fixture, "malformed and untimely events are reported and kept from the host") {
  Transport t = open().value();
  SUBCASE("before start") {
    deliver(2, KVS_LANE_LOG, 1);
    CHECK(reported("before start() or after stop()"));
    CHECK(released == 1);
    peer_event(KVS_PEER_CONNECTED, 1);
    CHECK(reported("before start() or after stop()"));
  }
  SUBCASE("messages") {
    REQUIRE(t.start());
    deliver(0, KVS_LANE_LOG, 1);
    CHECK(reported("from node 0"));
    deliver(2, 7, 1);
    CHECK(reported("unknown lane"));
    deliver(2, KVS_LANE_LOG, 101);
    CHECK(reported("above the limit"));
    CHECK(released == 3);
    fake.events->on_messages(fake.events->ctx, nullptr, 0);
    CHECK(reported("delivered no message"));
  }
  SUBCASE("peer events") {
    REQUIRE(t.start());
    peer_event(9, 1);
    CHECK(reported("malformed event"));
    peer_event(KVS_PEER_CONNECTED, 1, 0);
    CHECK(reported("malformed event"));
    peer_event(KVS_PEER_CONNECTED, 5);
    peer_event(KVS_PEER_CONNECTED, 5);
    CHECK(reported("does not have a higher number"));
  }
  SUBCASE("hello") {
    REQUIRE(t.start());
    kvs_hello hello{};
    hello.dialed = 3;
    kvs_node_id peer = 4;
    CHECK(fake.events->on_hello(fake.events->ctx, &hello, &peer, nullptr) == KVS_E_INTERNAL);
    CHECK(reported("which peer was dialled"));
    std::string large(4097, 'x');
    hello.remote = plugin::to_slice(large);
    CHECK(fake.events->on_hello(fake.events->ctx, &hello, &peer, nullptr) == KVS_E_INTERNAL);
    CHECK(reported("above 4 KiB"));
  }
  SUBCASE("a stream after its end") {
    REQUIRE(t.start());
    kvs_rx_stream rx{};
    kvs_stream_info i = info();
    REQUIRE(fake.events->on_stream(fake.events->ctx, &i, &rx) == KVS_OK);
    rx.abort(rx.ctx, KVS_E_IO);
    kvs_slice chunk = plugin::to_slice("late");
    CHECK(rx.write(rx.ctx, &chunk) == KVS_E_INTERNAL);
    CHECK(reported("used after its end"));
    CHECK(rx.finish(rx.ctx) == KVS_E_INTERNAL);
    CHECK(reported("used after its end"));
    CHECK(events.stream_log == "io gone ");
  }
  CHECK(events.received.empty());
}

TEST_CASE_FIXTURE(Fixture, "misuse by the host aborts") {
  Transport t = started();
  uint32_t accepted = 0;
  std::vector<TxMessage> large{
      {SharedBytes(std::string(60, 'x')), SharedBytes(std::string(41, 'x'))}};
  CHECK(aborts([&] { (void)t.send(2, KVS_LANE_LOG, large, &accepted); }));
  CHECK(aborts([&] { (void)t.send(2, KVS_LANE_COUNT, two_messages(), &accepted); }));
  CHECK(aborts([&] { (void)t.send(0, KVS_LANE_LOG, two_messages(), &accepted); }));
  CHECK(aborts([&] { (void)t.start(); }));
  CHECK(aborts([&] {
    TxStream stream = t.stream_open(2, "", 0, 1).value();
    t.close();
  }));
  CHECK(!aborts([&] { (void)t.send(2, KVS_LANE_LOG, two_messages(), &accepted); }));
}
