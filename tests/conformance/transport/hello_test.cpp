// Goal: the hosts alone decide who talks to whom, and learn why not.  Method: hosts that refuse, on
// either side, and then change their mind.
#include <doctest/doctest.h>

#include "node.hpp"

namespace kvstore::conformance {

TEST_CASE("both hosts see the other side's hello and how the connection came about") {
  Pair pair;
  auto check = [](const Node& node, kvs_node_id self, kvs_node_id other) {
    bool incoming = false;
    bool dialed = false;
    for (const Greeting& g : node.greetings()) {
      CHECK(g.remote == hello_of(other));
      CHECK(!g.remote_address.empty());
      CHECK(g.dialed == (g.incoming ? 0 : other));
      if (!g.incoming) CHECK(g.peer_before == other);
      (g.incoming ? incoming : dialed) = true;
    }
    CHECK(incoming);
    CHECK(dialed);
    CHECK(self != other);
  };
  check(pair.a, 1, 2);
  check(pair.b, 2, 1);
}

TEST_CASE(
    "the accepting host refuses: nothing is delivered, the dialling host learns status and words") {
  Node b({.id = 2}, false);
  std::atomic<bool> welcome{false};
  b.judge = [&](const kvs_hello& h, std::string* why) -> kvs_status {
    if (h.incoming == 0 || welcome.load()) return KVS_OK;
    *why = "node 1 belongs to another cluster";
    return KVS_E_INCOMPATIBLE;
  };
  b.start();
  Node a({.id = 1});
  a.set_peer(b);
  CHECK(a.wait([&] { return !a.events(KVS_PEER_REJECTED).empty(); }));
  Event e = a.events(KVS_PEER_REJECTED).front();
  CHECK(e.peer == 2);
  CHECK(e.why == KVS_E_INCOMPATIBLE);
  CHECK(e.message == "node 1 belongs to another cluster");
  CHECK(a.send(2, KVS_LANE_CONTROL, "x") == KVS_E_UNREACHABLE);
  CHECK(a.events(KVS_PEER_CONNECTED).empty());

  // The same refusal again and again is one event, or few: not one per attempt.
  size_t attempts = b.greetings().size();
  CHECK(b.wait([&] { return b.greetings().size() >= attempts + 3; }));
  CHECK(a.events(KVS_PEER_REJECTED).size() < b.greetings().size());

  // Admitted later: it gets through without being asked to.
  welcome.store(true);
  CHECK(a.connected(2));
  CHECK(a.send(2, KVS_LANE_CONTROL, "now") == KVS_OK);
  CHECK(b.wait([&] { return b.received_count(1, KVS_LANE_CONTROL) == 1; }));
}

TEST_CASE("the dialling host refuses: it gets the event itself, and nothing is sent") {
  Node b({.id = 2});
  Node a({.id = 1}, false);
  a.judge = [](const kvs_hello& h, std::string* why) -> kvs_status {
    *why = "wire version 9 is too new";
    return h.incoming != 0 ? KVS_OK : KVS_E_INCOMPATIBLE;
  };
  a.start();
  a.set_peer(b);
  CHECK(a.wait([&] { return !a.events(KVS_PEER_REJECTED).empty(); }));
  CHECK(a.events(KVS_PEER_REJECTED).front().message == "wire version 9 is too new");
  CHECK(a.send(2, KVS_LANE_LOG, "x") == KVS_E_UNREACHABLE);
  CHECK(b.received_count(1, KVS_LANE_LOG) == 0);
}

TEST_CASE("another node answers at the address: refused by name") {
  Node c({.id = 3});
  Node a({.id = 1});
  a.set_peer(2, c.address());
  CHECK(a.wait([&] { return !a.events(KVS_PEER_REJECTED).empty(); }));
  CHECK(a.events(KVS_PEER_REJECTED).front().message == "another node answered: id=3");
}

TEST_CASE("a different refusal is a new event") {
  Node b({.id = 2}, false);
  std::atomic<int> reason{1};
  b.judge = [&](const kvs_hello&, std::string* why) -> kvs_status {
    *why = "reason " + std::to_string(reason.load());
    return KVS_E_CONFLICT;
  };
  b.start();
  Node a({.id = 1});
  a.set_peer(b);
  CHECK(a.wait([&] { return !a.events(KVS_PEER_REJECTED).empty(); }));
  reason.store(2);
  CHECK(a.wait([&] { return a.events(KVS_PEER_REJECTED).back().message == "reason 2"; }));
}

TEST_CASE("set_hello holds for later connections") {
  Node b({.id = 2}), a({.id = 1});
  a.set_hello("id=41");
  a.set_peer(b);
  CHECK(a.connected(2));
  CHECK(a.send(2, KVS_LANE_LOG, "x") == KVS_OK);
  CHECK(b.wait([&] { return b.received_count(41, KVS_LANE_LOG) == 1; }));
}

TEST_CASE("hellos are opaque bytes of up to 4 KiB") {
  Node b({.id = 2}), a({.id = 1});
  std::string hello = hello_of(1) + std::string(1, '\0') + std::string(4000, '\xff');
  hello.resize(4096, 'z');
  a.set_hello(hello);
  a.set_peer(b);
  CHECK(a.connected(2));
  CHECK(b.greetings().front().remote == hello);
  kvs_slice too_large{reinterpret_cast<const uint8_t*>(hello.data()), 4097};
  hello.push_back('!');
  too_large.data = reinterpret_cast<const uint8_t*>(hello.data());
  CHECK(api().set_hello(a.raw(), &too_large) == KVS_E_INVALID);
}

TEST_CASE("a provisional peer learns who answers, and makes way for the real one") {
  const kvs_node_id provisional = (1ull << 63) | 5;
  Node b({.id = 2}), a({.id = 1});
  a.set_peer(provisional, b.address());
  CHECK(a.wait([&] { return !a.greetings().empty(); }));
  CHECK(a.greetings().front().dialed == provisional);
  CHECK(a.greetings().front().remote == hello_of(2));
  CHECK(a.remove_peer(provisional) == KVS_OK);
  a.set_peer(b);
  CHECK(a.connected(2));
  CHECK(a.send(2, KVS_LANE_CONTROL, "x") == KVS_OK);
  CHECK(b.wait([&] { return b.received_count(1, KVS_LANE_CONTROL) == 1; }));
}

}  // namespace kvstore::conformance
