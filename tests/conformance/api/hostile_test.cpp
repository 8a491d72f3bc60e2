// Goal: no crowd of clients, however they behave, keeps others from being answered, takes memory
// without bound or leaves something behind.  Method: hundreds to thousands of real connections that
// are idle, slow, deaf, broken or noisy, with small pools, and health asked meanwhile.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <random>

#include <sys/resource.h>
#include <sys/socket.h>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;

namespace {

using Clients = std::vector<std::unique_ptr<HttpClient>>;

constexpr const char* kSmallPool = R"({"threads": 16, "max_connections": 512,
  "header_timeout_ms": 1000, "body_timeout_ms": 1000, "send_timeout_ms": 1000,
  "min_bytes_per_second": 1000000000})";

// Clients and server are one process here: two descriptors for each connection.
size_t affordable(size_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const size_t room = (limit.rlim_cur - 256) / 2;
  if (room < wanted) MESSAGE("only " << room << " of " << wanted << " connections (ulimit -n)");
  return std::min(room, wanted);
}

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

Clients connect(const ApiFixture& f, size_t n, const std::string& bytes) {
  Clients out;
  for (size_t i = 0; i < n; ++i) {
    out.push_back(std::make_unique<HttpClient>(f.port));
    if (!bytes.empty()) out.back()->send(bytes);
  }
  return out;
}

void check_serves(const ApiFixture& f) {
  CHECK(f.fetch("GET", "/livez").status == 200);
  CHECK(f.fetch("GET", "/metrics").status == 200);
}

// Sends one more byte to every client again and again, until it goes.
class Trickle {
 public:
  Trickle(Clients* clients, char byte)
      : thread_([this, clients, byte] {
          while (!stop_.load()) {
            for (auto& client : *clients) client->send(std::string_view(&byte, 1));
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
          }
        }) {}
  ~Trickle() {
    stop_.store(true);
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void check_ended(Clients* clients, std::initializer_list<int> statuses) {
  for (auto& client : *clients) {
    const Answer answer = client->receive();
    CAPTURE(answer.status);
    CHECK(std::find(statuses.begin(), statuses.end(), answer.status) != statuses.end());
    client->shut_sending();  // the server waits for it, so that nobody loses the answer
    CHECK(client->closed());
  }
}

}  // namespace

TEST_CASE("2,000 idle connections cost no threads and little memory") {
  ApiFixture f(R"({"header_timeout_ms": 600000, "keep_alive_timeout_ms": 600000})");
  Scripted healthy;
  healthy.json = R"({"status":"ok"})";
  f.engine.set_control("health", healthy);
  f.fetch("PUT", "/api/v1/kv/k", "v");
  const size_t count = affordable(2000), before = resident_bytes();
  Clients silent = connect(f, count / 3, "");
  Clients begun = connect(f, count / 3, "GET /livez HTTP/1.1\r\nHost");
  Clients used = connect(f, count / 3, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
  for (auto& client : used) CHECK(client->receive().status == 200);
  for (int i = 0; i < 20; ++i) {
    check_serves(f);
    CHECK(f.fetch("GET", "/health").status == 200);
    CHECK(f.fetch("PUT", "/api/v1/kv/k", "v").status == 200);
    CHECK(f.fetch("GET", "/api/v1/kv/k?raw=1").body == "v");
  }
  // What threads have touched of their stacks, and two descriptors' worth of bookkeeping each.
  const size_t grown = resident_bytes() - std::min(before, resident_bytes());
  MESSAGE(count << " connections took " << (grown >> 20) << " MiB");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(grown < (64u << 20));
#endif
  // Nobody was turned away for being idle: all of them are served when they speak.  Of those that
  // had begun, some had a thread when threads became scarce.
  for (auto& client : begun) {
    const int status = client->exchange(": h\r\n\r\n").status;
    CHECK((status == 200 || status == 408));
  }
  for (auto& client : used) CHECK(client->request("GET", "/livez").status == 200);
  for (auto& client : silent) CHECK(client->request("GET", "/livez").status == 200);
}

TEST_CASE("slow headers on hundreds of connections") {
  ApiFixture f(kSmallPool);
  Clients slow = connect(f, 300, "GET /livez HTTP/1.1\r\nHost: h\r\nX: ");
  {
    Trickle trickle(&slow, 'x');
    for (int i = 0; i < 20; ++i) check_serves(f);
  }
  check_ended(&slow, {408});
  CHECK(f.engine.data_calls() == 0);
}

TEST_CASE("a second header begun slowly on a connection that was served") {
  ApiFixture f(kSmallPool);
  Clients slow = connect(f, 200, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\nGET /livez HTT");
  for (auto& client : slow) CHECK(client->receive().status == 200);
  for (int i = 0; i < 20; ++i) check_serves(f);
  check_ended(&slow, {408});
}

TEST_CASE("slow bodies on hundreds of connections") {
  ApiFixture f(kSmallPool);
  Clients slow =
      connect(f, 300, "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  {
    Trickle trickle(&slow, 'x');
    for (int i = 0; i < 20; ++i) check_serves(f);
  }
  check_ended(&slow, {408, 429});
  CHECK(f.engine.data_calls() == 0);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "v").status == 200);
}

TEST_CASE("slow bodies that nobody wants, behind requests that nothing limits") {
  ApiFixture f(kSmallPool);
  Clients slow = connect(f, 300, "GET /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n");
  {
    Trickle trickle(&slow, 'x');
    for (int i = 0; i < 20; ++i) check_serves(f);
  }
}

TEST_CASE("clients that read nothing of large answers") {
  ApiFixture f(R"({"threads": 16, "send_timeout_ms": 1000, "min_bytes_per_second": 4000000})");
  f.engine.put("big", std::string(32 << 20, 'x'));
  [[maybe_unused]] const size_t before = resident_bytes();
  Clients deaf = connect(f, 100, "GET /api/v1/kv/big?raw=1 HTTP/1.1\r\nHost: h\r\n\r\n");
  ApiFixture::eventually([&] { return f.engine.open_readers() > 0; });
  for (int i = 0; i < 20; ++i) check_serves(f);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(resident_bytes() < before + (96u << 20));
#endif
  ApiFixture::eventually([&] { return f.engine.open_readers() == 0; });
  CHECK(f.fetch("GET", "/api/v1/kv/big?raw=1").body.size() == 32u << 20);
}

TEST_CASE("clients that read nothing of many small answers") {
  ApiFixture f(kSmallPool);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
  Clients deaf = connect(f, 64, many);
  for (int i = 0; i < 10; ++i) check_serves(f);
}

TEST_CASE("a server full of idle clients closes the longest idle one for a new one") {
  ApiFixture f(R"({"threads": 8, "max_connections": 16})");
  Clients idle = connect(f, 16, "");
  for (auto& client : idle) CHECK(client->request("GET", "/livez").status == 200);
  // Those above three quarters of the threads wait in the lobby; they go first.
  Clients more = connect(f, 8, "");
  for (auto& client : more) CHECK(client->request("GET", "/livez").status == 200);
}

TEST_CASE("a client whose request has come is served, not closed for a new one") {
  ApiFixture f(R"({"threads": 8, "max_connections": 16})");
  for (int round = 0; round < 8; ++round) {
    Clients idle;
    ApiFixture::eventually([&] {  // those of the round before go when the server has seen it
      idle = connect(f, 16, "");
      return std::all_of(idle.begin(), idle.end(), [](auto& client) {
        return client->request("GET", "/livez").status == 200;
      });
    });
    for (auto& client : idle) client->send("GET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
    Clients more = connect(f, 8, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
    for (auto& client : idle) REQUIRE(client->receive().status == 200);
  }
}

TEST_CASE("empty lines are no requests and keep no threads") {
  ApiFixture f(R"({"threads": 16, "max_connections": 512})");
  Clients crowd = connect(f, 300, "\r\n\r\n");
  for (int round = 0; round < 5; ++round) {
    for (auto& client : crowd) client->send("\r\n");
    for (int i = 0; i < 5; ++i) check_serves(f);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  for (auto& client : crowd) REQUIRE(client->request("GET", "/livez").status == 200);
  HttpClient polite(f.port);
  for (int i = 0; i < 3; ++i)
    CHECK(polite.exchange("\r\n\r\nGET /livez HTTP/1.1\r\nHost: h\r\n\r\n\r\n").status == 200);
}

TEST_CASE("a flood of connections that come and go") {
  ApiFixture f(kSmallPool);
  for (int round = 0; round < 5; ++round) {
    connect(f, 600, "GET /livez HT");  // above max_connections
    check_serves(f);
  }
  ApiFixture::eventually([&] { return f.fetch("GET", "/livez").status == 200; });
}

TEST_CASE("the connections of one address are counted from accept to close") {
  ApiFixture f(R"({"threads": 8, "max_connections": 64, "max_connections_per_address": 20,
                   "header_timeout_ms": 600000})");
  for (int round = 0; round < 3; ++round) {
    // More than there are threads: most of them wait, and count all the same.  Those of the attempt
    // before count until the server has seen them go.
    ApiFixture::eventually([&] {
      Clients silent = connect(f, 19, "");
      HttpClient last(f.port), over(f.port);
      return last.request("GET", "/livez").status == 200 &&
             over.request("GET", "/livez").status == 503;
    });
  }
}

TEST_CASE("resets and half-closed connections at every stage") {
  ApiFixture f(kSmallPool);
  f.engine.put("big", std::string(8 << 20, 'x'));
  const std::string put = "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n";
  for (const std::string& sent :
       {std::string("G"), std::string("GET /livez HTTP/1.1\r\nHost"), put.substr(0, put.size() - 1),
        put + "x", put + std::string(2'500'000, 'x'), put + std::string(2'999'999, 'x'),
        std::string("GET /api/v1/kv/big?raw=1 HTTP/1.1\r\nHost: h\r\n\r\n")}) {
    CAPTURE(sent.size());
    for (int i = 0; i < 5; ++i) {
      HttpClient reset(f.port), half(f.port);
      reset.send(sent);
      half.send(sent);
      half.shut_sending();
      reset.reset();
      static_cast<void>(half.receive());
      CHECK(half.closed());
    }
    check_serves(f);
  }
  // While the engine works on it.
  f.engine.hold();
  for (int i = 0; i < 5; ++i) {
    HttpClient reset(f.port);
    reset.send("GET /api/v1/kv/big HTTP/1.1\r\nHost: h\r\n\r\n");
    reset.reset();
  }
  f.engine.release();
  check_serves(f);
  ApiFixture::eventually(
      [&] { return f.engine.open_readers() == 0 && f.engine.open_uploads() == 0; });
}

TEST_CASE("garbage behind a request is refused and ends the connection") {
  ApiFixture f;
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    std::string noise;
    for (size_t n = random() % 300; n > 0; --n) noise.push_back(static_cast<char>(random() % 256));
    HttpClient client(f.port);
    client.send("GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" + noise + "\r\n\r\n");
    client.shut_sending();
    CHECK(client.receive().status == 200);
    const Answer answer = client.receive();
    CHECK((answer.status == 400 || answer.status == 505 || answer.status == 0));
    CHECK(client.closed());
  }
  check_serves(f);
  CHECK(f.engine.data_calls() == 0);
}

TEST_CASE("framings that two parsers may read differently") {
  ApiFixture f;
  const std::string get = "GET /livez HTTP/1.1\r\n",
                    put = "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\n";
  const std::string chunked = put + "Transfer-Encoding: chunked\r\n\r\n";
  const std::pair<std::string, int> rows[] = {
      {put + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {put + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
      {put + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501},
      {put + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
      {put + "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nv", 400},
      {put + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
      {put + "CONTENT-LENGTH: 1\r\ncontent-length: 1\r\n\r\nv", 400},
      {put + "Content-Length: +1\r\n\r\nv", 400},
      {put + "Content-Length: 1 1\r\n\r\nv", 400},
      {put + "Content-Length: 1\r\r\n\r\nv", 400},
      {put + "Content-Length: 1;\r\n\r\nv", 400},
      {put + "Content-Length:\r\n\r\nv", 400},
      {chunked + "-1\r\n", 400},
      {chunked + "+1\r\nv\r\n0\r\n\r\n", 400},
      {chunked + "0x1\r\nv\r\n0\r\n\r\n", 400},
      {chunked + " 1\r\nv\r\n0\r\n\r\n", 400},
      {chunked + "\r\n", 400},
      {chunked + "1\r\r\nv\r\n0\r\n\r\n", 400},
      {chunked + "1\r\nv\n0\r\n\r\n", 400},
      {chunked + std::string(300, '0') + "1\r\nv\r\n0\r\n\r\n", 400},
      {chunked + "1;" + std::string(300, 'x') + "\r\nv\r\n0\r\n\r\n", 400},
      {get + "Host: a b\r\n\r\n", 400},
      {get + "Host: a/b\r\n\r\n", 400},
      {get + "Host: user@a\r\n\r\n", 400},
      {get + "Host: a\r\nHost: b\r\n\r\n", 400},
      {"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 400},
      {"GET http://h HTTP/1.1\r\nHost: h\r\nHost: g\r\n\r\n", 400},
      {"GET ftp://h/livez HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /livez\tHTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"\rGET /livez HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {" GET /livez HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {std::string("GET /li\0vez HTTP/1.1\r\nHost: h\r\n\r\n", 34), 400},
      {"GET /livez HTTP/11\r\nHost: h\r\n\r\n", 505},
      {"GET /livez http/1.1\r\nHost: h\r\n\r\n", 505},
  };
  for (const auto& [bytes, status] : rows) {
    CAPTURE(bytes.substr(0, 150));
    HttpClient client(f.port);
    // Were the first one read differently, this would be answered.
    client.send(bytes + "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
    const Answer answer = client.receive();
    CHECK(answer.status == status);
    CHECK(answer.header("connection") == "close");
    CHECK(client.closed());
  }
  CHECK(f.engine.txn_calls() == 0);
}

TEST_CASE("chunk extensions, trailers and a chunk of any announced size") {
  ApiFixture f(R"({"max_value_bytes": 3000000})");
  const std::string chunked =
      "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  HttpClient client(f.port);
  CHECK(client.exchange(chunked + "3;a=\"b\"\r\nabc\r\n0003 \r\ndef\r\n0\r\nTrailer: t\r\n\r\n")
            .status == 200);
  CHECK(f.engine.value_of("k") == "abcdef");
  CHECK(client.request("GET", "/livez").status == 200);
  // Announced in one chunk, refused when it has come; nothing of its size is taken up front.
  for (const char* size : {"7fffffffffffffff", "ffffffffffffffff"}) {
    HttpClient huge(f.port);
    huge.send(chunked + size + "\r\n");
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 6 && huge.send(block); ++i) {
    }
    CHECK(huge.receive().status == 413);
  }
  const std::string one_more(3'000'001, 'x');
  CHECK(HttpClient(f.port).exchange(chunked + "2dc6c1\r\n" + one_more + "\r\n0\r\n\r\n").status ==
        413);
  // The answer may be there before the handler is gone.
  ApiFixture::eventually([&] { return f.engine.open_uploads() == 0; });
}
