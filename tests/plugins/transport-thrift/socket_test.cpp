// Goal: addresses of every form are understood, names are looked up when dialling, and sockets
// carry the options that find dead peers.  Method: the plugin's own socket functions, and two
// instances.
#include "socket.hpp"

#include <kvstore/sdk/guard.hpp>

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node.hpp"

namespace kvstore::transport_thrift_test {

using namespace transport_thrift;
using conformance::Node;

namespace {

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  CHECK(getsockopt(fd, level, name, &value, &length) == 0);
  return value;
}

}  // namespace

TEST_CASE("addresses") {
  CHECK(parse_address("10.0.0.7:7000") == Address{"10.0.0.7", 7000});
  CHECK(parse_address("node-1.example:0") == Address{"node-1.example", 0});
  CHECK(parse_address("[::1]:65535") == Address{"::1", 65535});
  CHECK(parse_address("[::1]:65535").text() == "[::1]:65535");
  CHECK(parse_address("a:1").text() == "a:1");
  for (const char* bad :
       {"", ":", "a", "a:", ":1", "a:-1", "a: 1", "a:1 ", "a:1x", "::1:1", "[]:1"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_address(bad), sdk::Error);
  }
}

TEST_CASE("a tuned socket sends at once and does not wait for ever") {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  tune(fd, 5000);
  CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
  CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 1);
  CHECK(option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 1);
  CHECK(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 5000);
  ::close(fd);
}

TEST_CASE("a name is dialled, and the bound address keeps the name") {
  Node a({.id = 1}), b({.id = 2, .listen = "localhost:0"});
  CHECK(b.address().starts_with("localhost:"));
  a.set_peer(b);
  CHECK(a.connected(2));
}

TEST_CASE("a name that does not resolve says so, and the peer stays unreachable") {
  WakeFd wake;
  try {
    connect_to({"no-such-host.invalid", 1}, 1000, wake.fd());
    FAIL("connected");
  } catch (const sdk::Error& e) {
    CHECK(e.code() == KVS_E_UNREACHABLE);
    CHECK(std::string(e.what()).find("no-such-host.invalid") != std::string::npos);
  }
}

TEST_CASE("IPv6 in brackets: works, or says that the host has no IPv6") {
  Node probe({.id = 2, .listen = "[::1]:0"}, false);
  kvs_error err = conformance::new_error();
  if (conformance::api().start(probe.raw(), &err) != KVS_OK) {
    CHECK(std::string(err.message).find("[::1]:0") != std::string::npos);
    return;
  }
  CHECK(probe.address().starts_with("[::1]:"));
  Node a({.id = 1});
  a.set_peer(probe);
  CHECK(a.connected(2));
}

TEST_CASE("a woken connect ends") {
  WakeFd wake;
  wake.notify();
  // A blackhole by definition (TEST-NET-1): without the wake-up this would last for its timeout.
  CHECK_THROWS_AS(connect_to({"192.0.2.1", 9}, 60'000, wake.fd()), sdk::Error);
}

}  // namespace kvstore::transport_thrift_test
