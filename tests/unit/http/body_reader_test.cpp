// Goal: bodies are read to their end and not a byte further, however they arrive.
// Method: a socket pair carries them, cut in many ways, with the next request behind.
#include "front/body_reader.hpp"

#include <chrono>
#include <memory>

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace kvstore;
using namespace kvstore::http;

namespace {

const kvs_host* test_host() {
  static const kvs_host host = [] {
    kvs_host h{};
    h.struct_size = sizeof h;
    h.log = [](const kvs_host*, int32_t, const char*, uint32_t, const char*, size_t) noexcept {};
    h.log_enabled = [](const kvs_host*, int32_t) noexcept -> int32_t { return 0; };
    h.now_ns = [](const kvs_host*) noexcept -> uint64_t {
      return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    };
    return h;
  }();
  return &host;
}

// One connection with a client's end to write to.
struct Wire {
  Wire() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    client = fds[0];
    server = fds[1];
    socket = std::make_unique<ClientSocket>(server, sdk::Host(test_host()));
  }
  ~Wire() {
    hang_up();
    ::close(server);
  }
  void send(std::string_view bytes) const {
    REQUIRE(::write(client, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  void hang_up() {
    if (client >= 0) ::close(client);
    client = -1;
  }
  BodyReader reader(const std::string& fields, uint64_t timeout_ms = 10'000) {
    head.parse("PUT /k HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
    return BodyReader(head, socket.get(), &input, Patience(timeout_ms, 1 << 20));
  }

  int client = -1, server = -1;
  std::unique_ptr<ClientSocket> socket;
  InputBuffer input;
  RequestHead head;
};

std::string read_all(BodyReader* reader, size_t step) {
  std::string body;
  while (reader->read(step, &body)) {
  }
  return body;
}

int failure_of(BodyReader* reader, std::string* code) {
  try {
    read_all(reader, 100);
    return 0;
  } catch (const ApiError& e) {
    CHECK(e.close);
    *code = e.code;
    return e.http_status;
  }
}

}  // namespace

TEST_CASE("a fixed length, with the next request behind it") {
  for (const size_t step : {1, 3, 1000}) {
    Wire wire;
    BodyReader reader = wire.reader("Content-Length: 5\r\n");
    wire.send("helloGET");
    CHECK(read_all(&reader, step) == "hello");
    CHECK(reader.at_end());
    wire.send("x");
    REQUIRE(wire.input.fill([&](char* to, size_t room, size_t* got) {
      return wire.socket->receive_idle(to, room, got);
    }) == ClientSocket::Io::kOk);
    CHECK(wire.input.view().substr(0, 3) == "GET");
  }
}

TEST_CASE("no body") {
  Wire wire;
  CHECK(wire.reader("").at_end());
  CHECK(wire.reader("Content-Length: 0\r\n").at_end());
}

TEST_CASE("chunks, cut everywhere") {
  const std::string text = "3\r\nabc\r\n0A;name=\"v\"\r\n0123456789\r\n0\r\nT: x\r\n\r\n";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Wire wire;
    BodyReader reader = wire.reader("Transfer-Encoding: chunked\r\n");
    wire.send(std::string_view(text).substr(0, cut));
    REQUIRE(wire.input.fill([&](char* to, size_t room, size_t* got) {
      *got = 0;
      return cut == 0 ? ClientSocket::Io::kOk : wire.socket->receive_idle(to, room, got);
    }) == ClientSocket::Io::kOk);
    wire.send(std::string(text.substr(cut)) + "GET");
    CHECK(read_all(&reader, 4) == "abc0123456789");
    CHECK(wire.input.view().substr(0, 3) == std::string("GET").substr(0, wire.input.view().size()));
  }
}

TEST_CASE("malformed chunks") {
  for (const char* text : {"x\r\n", "\r\n", "3\nabc", "3\r\nabcd\r\n", "-1\r\n", "0x3\r\n",
                           "11111111111111111\r\n", "3\r\nabc\n0\r\n\r\n"}) {
    Wire wire;
    BodyReader reader = wire.reader("Transfer-Encoding: chunked\r\n");
    wire.send(text);
    std::string code;
    CAPTURE(text);
    CHECK(failure_of(&reader, &code) == 400);
    CHECK(code == "bad_request");
  }
  Wire wire;
  BodyReader reader = wire.reader("Transfer-Encoding: chunked\r\n");
  wire.send("0\r\n" + std::string(100, 'T') + ": " + std::string(9000, 'x') + "\r\n\r\n");
  std::string code;
  CHECK(failure_of(&reader, &code) == 400);
}

TEST_CASE("a client that goes away, and one that does not go on") {
  std::string code;
  {
    Wire wire;
    BodyReader reader = wire.reader("Content-Length: 5\r\n");
    wire.send("he");
    wire.hang_up();
    CHECK(failure_of(&reader, &code) == 400);
    CHECK(code == "client_gone");
  }
  Wire wire;
  BodyReader reader = wire.reader("Content-Length: 5\r\n", 20);
  wire.send("he");
  CHECK(failure_of(&reader, &code) == 408);
}

TEST_CASE("the body is asked for once, when it is wanted") {
  Wire wire;
  BodyReader reader = wire.reader("Content-Length: 5\r\nExpect: 100-continue\r\n", 20);
  CHECK(!reader.rest_is_short());
  std::string code;
  CHECK(failure_of(&reader, &code) == 408);
  char text[64];
  const ssize_t n = ::read(wire.client, text, sizeof text);
  CHECK(std::string(text, static_cast<size_t>(n)) == "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST_CASE("a short rest is skipped, a long or unknown one is not") {
  Wire wire;
  BodyReader fixed = wire.reader("Content-Length: 5\r\n");
  wire.send("hello");
  CHECK(fixed.skip_rest());
  CHECK(fixed.at_end());
  CHECK(!wire.reader("Content-Length: 1000000\r\n").skip_rest());
  CHECK(!wire.reader("Transfer-Encoding: chunked\r\n").skip_rest());
  BodyReader slow = wire.reader("Content-Length: 5\r\n", 20);
  CHECK(!slow.skip_rest());
}
