// Goal: an instance can be opened, started, stopped and closed in every legal order, tells clearly
// what is wrong with its options, and leaves nothing behind.  Method: the ABI calls themselves,
// counting threads and descriptors of this process.
#include <filesystem>

#include <kvstore/sdk/slice.hpp>

#include <doctest/doctest.h>

#include "node.hpp"

namespace kvstore::conformance {
namespace {

size_t entries(const char* directory) {
  auto it = std::filesystem::directory_iterator(directory);
  return static_cast<size_t>(std::distance(begin(it), end(it)));
}

kvs_status try_open(const NodeOptions& options, kvs_error* err) {
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
  kvs_transport* t = nullptr;
  kvs_status s = api().open(test_host(), &o, &t, err);
  if (s == KVS_OK) api().close(t);
  return s;
}

}  // namespace

TEST_CASE("manifest: the interface is offered under its exact id only") {
  CHECK(manifest().magic == KVS_PLUGIN_MAGIC);
  CHECK(manifest().get_interface(KVS_TRANSPORT_ID) != nullptr);
  CHECK(manifest().get_interface("kvstore.transport/1x") == nullptr);
  CHECK(manifest().get_interface("kvstore.transport") == nullptr);
  CHECK(manifest().get_interface("") == nullptr);
  CHECK(manifest().config_schema != nullptr);
}

TEST_CASE("unknown extensions are NULL") {
  Node node({}, false);
  CHECK(api().get_extension(node.raw(), "nobody.has/this") == nullptr);
}

TEST_CASE(
    "open binds nothing: the same address can be opened twice, and only the second start fails") {
  Node first({});
  NodeOptions same;
  same.listen = first.address();
  Node second(same, false);
  kvs_error err = new_error();
  CHECK(api().start(second.raw(), &err) != KVS_OK);
  CHECK(std::string(err.message).find(first.address()) != std::string::npos);
  CHECK(std::string(err.message).find("in use") != std::string::npos);
}

TEST_CASE("port 0 gives each instance an address of its own") {
  Node a({}), b({});
  CHECK(a.address() != b.address());
  CHECK(a.address().find(":0") == std::string::npos);
}

TEST_CASE("bound_address before start is refused") {
  Node node({}, false);
  std::string out;
  CHECK(api().bound_address(node.raw(), sdk::append_to_string, &out) != KVS_OK);
}

TEST_CASE("an unknown option is refused by its path, and a NULL or short error is no problem") {
  NodeOptions options;
  options.config = R"({"no_such_option": 1})";
  kvs_error err = new_error();
  CHECK(try_open(options, &err) == KVS_E_INVALID);
  CHECK(std::string(err.message).find("/no_such_option") != std::string::npos);
  CHECK(try_open(options, nullptr) == KVS_E_INVALID);
  kvs_error tiny = new_error();
  tiny.struct_size = 8;
  tiny.message[0] = 'x';
  CHECK(try_open(options, &tiny) == KVS_E_INVALID);
  CHECK(tiny.message[0] == 'x');
}

TEST_CASE("options that are not an object are refused") {
  NodeOptions options;
  options.config = "[]";
  CHECK(try_open(options, nullptr) == KVS_E_INVALID);
  options.config = "{";
  CHECK(try_open(options, nullptr) == KVS_E_INVALID);
}

TEST_CASE("a peer needs an id and an address") {
  Node node({});
  auto set = [&](kvs_node_id id, const char* address) {
    kvs_peer p{};
    p.struct_size = sizeof p;
    p.id = id;
    p.address = sdk::slice(address);
    return api().peer_set(node.raw(), &p, nullptr);
  };
  CHECK(set(0, "127.0.0.1:1") == KVS_E_INVALID);
  CHECK(set(2, "") == KVS_E_INVALID);
  CHECK(set(2, "nowhere") == KVS_E_INVALID);
  CHECK(node.remove_peer(77) == KVS_OK);
}

TEST_CASE("close without start, stop twice, peers before start") {
  { Node never_started({}, false); }
  Node b({.id = 2});
  Node a({.id = 1}, false);
  a.set_peer(b);
  a.start();
  CHECK(a.connected(2));
  api().stop(a.raw());
  a.stop();
  uint32_t accepted = 9;
  kvs_tx_message m = a.outbox().make({"x"});
  CHECK(api().send(a.raw(), 2, KVS_LANE_LOG, &m, 1, &accepted, nullptr) == KVS_E_CLOSED);
  CHECK(accepted == 0);
  CHECK(a.outbox().released() == 0);
  kvs_peer peer{};
  peer.struct_size = sizeof peer;
  peer.id = 3;
  peer.address = sdk::slice("127.0.0.1:1");
  CHECK(api().peer_set(a.raw(), &peer, nullptr) == KVS_E_CLOSED);
  CHECK(api().peer_remove(a.raw(), 2, nullptr) == KVS_E_CLOSED);
}

TEST_CASE("stats are one JSON object") {
  Pair pair;
  std::string out;
  CHECK(api().stats(pair.a.raw(), sdk::append_to_string, &out) == KVS_OK);
  CHECK(out.starts_with("{"));
  CHECK(out.ends_with("}"));
}

TEST_CASE("no thread and no descriptor is left after close") {
  { Pair warm_up; }
  size_t threads = entries("/proc/self/task");
  size_t fds = entries("/proc/self/fd");
  for (int i = 0; i < 10; ++i) {
    Pair pair;
    CHECK(pair.a.send(2, KVS_LANE_CONTROL, "hello") == KVS_OK);
  }
  Node unreached({.id = 3});
  unreached.set_peer(9, "127.0.0.1:1");
  unreached.stop();
  CHECK(entries("/proc/self/task") == threads);
  CHECK(entries("/proc/self/fd") <=
        fds + 2);  // what the open, stopped instance may hold for itself
}

TEST_CASE("two instances in one process do not see each other's peers") {
  Pair pair;
  Node c({.id = 3});
  c.set_peer(pair.b);
  CHECK(c.connected(2));
  CHECK(c.send(1, KVS_LANE_LOG, "x") == KVS_E_UNREACHABLE);
  CHECK(c.send(2, KVS_LANE_LOG, "from c") == KVS_OK);
  CHECK(pair.b.wait([&] { return pair.b.received_count(3, KVS_LANE_LOG) == 1; }));
  CHECK(pair.b.received_count(1, KVS_LANE_LOG) == 0);
}

}  // namespace kvstore::conformance
