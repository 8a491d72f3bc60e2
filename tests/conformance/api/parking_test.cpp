// Goal: requests that wait for the engine, however many, keep no thread, no place and no connection
// from those that can be answered at once, and are answered as if they had never been parked.
// Method: more waiting requests than threads behind an engine that holds its answers back, in
// every state that a request can wait in; clients that leave, answers in the moment of parking,
// stops, and the bounds.
#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

using Clients = std::vector<std::unique_ptr<HttpClient>>;

constexpr const char* kSmallPool = R"({"threads": 8})";
const std::string kPut = "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nv";
const std::string kGet = "GET /api/v1/kv/k?raw=1 HTTP/1.1\r\nHost: h\r\n\r\n";

size_t parked(const ApiFixture& f) {
  return static_cast<size_t>(f.host.metric(R"(kvstore_http_parked_requests{api="http-test"})"));
}
size_t parks(const ApiFixture& f) {
  return static_cast<size_t>(f.host.metric(R"(kvstore_http_parked_total{api="http-test"})"));
}
double answered(const ApiFixture& f, const std::string& route, int code) {
  return f.host.metric("kvstore_http_requests_total{api=\"http-test\",route=\"" + route +
                       "\",code=\"" + std::to_string(code) + "\"}");
}

// Stale reads and health are answered at once, everything else when the engine lets go.
void hold_all_but_stale(ApiFixture& f) {
  Scripted healthy;
  healthy.json = R"({"status":"ok"})";
  healthy.at_any_time = true;
  f.engine.set_control("health", healthy);
  f.engine.set_stale_readers_ready(true);
  f.engine.hold();
}

void check_others_are_served(const ApiFixture& f) {
  CHECK(f.fetch("GET", "/livez").status == 200);
  CHECK(f.fetch("GET", "/health").status == 200);
  CHECK(f.fetch("GET", "/metrics").status == 200);
  CHECK(f.fetch("GET", "/api/v1/kv/there?consistency=stale&raw=1").body == "value");
  CHECK(f.fetch("GET", "/api/v1/kv?consistency=stale").status == 200);
}

// One after the other, so that a limit on those that have only begun to wait does not count.
void park(const ApiFixture& f, size_t n, const std::string& bytes, Clients* clients) {
  for (size_t i = 0; i < n; ++i) {
    clients->push_back(std::make_unique<HttpClient>(f.port));
    const size_t before = parked(f);
    clients->back()->send(bytes);
    ApiFixture::eventually([&] { return parked(f) == before + 1; });
  }
}

std::string error_of(const Answer& answer) {
  return json::parse(answer.body)["error"]["message"];
}

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

size_t affordable(size_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return std::min<size_t>((limit.rlim_cur - 256) / 2, wanted);
}

}  // namespace

TEST_CASE("more waiting writes and reads than threads, and everybody else is served") {
  ApiFixture f(kSmallPool);
  f.engine.put("there", "value");
  hold_all_but_stale(f);
  Clients writers, readers;
  park(f, 30, kPut, &writers);
  park(f, 30, kGet, &readers);
  for (int i = 0; i < 10; ++i) check_others_are_served(f);
  CHECK(parked(f) == 60);
  f.engine.release();
  for (auto& client : writers) {
    const Answer answer = client->receive();
    CHECK(answer.status == 200);
    CHECK(json::parse(answer.body)["key"] == "k");
    CHECK(!answer.header("x-kvstore-revision").empty());
    CHECK(answer.header("x-kvstore-node") == "node-x");
  }
  for (auto& client : readers) CHECK(client->receive().body == "v");
  ApiFixture::eventually([&] { return parked(f) == 0 && f.engine.open_readers() == 0; });
  CHECK(parks(f) >= 60);
  ApiFixture::eventually(
      [&] { return answered(f, "kv_put", 200) == 30 && answered(f, "kv_get", 200) == 40; });
  // The connections are as good as new.
  for (auto& client : writers) CHECK(client->exchange(kGet).body == "v");
  for (auto& client : readers) CHECK(client->exchange(kPut).status == 200);
}

TEST_CASE("what waits comes back for a place one after the other, and fresh requests go on") {
  ApiFixture f(R"({"threads": 8, "max_data_requests": 1})");
  f.engine.put("k", "v");
  hold_all_but_stale(f);
  Clients readers;
  park(f, 40, kGet, &readers);
  f.engine.release();
  for (auto& client : readers) CHECK(client->receive().body == "v");
  ApiFixture::eventually([&] { return f.fetch("GET", "/api/v1/kv/k").status == 200; });
}

TEST_CASE("parked requests do not count as connections, but for their address") {
  ApiFixture f(R"({"threads": 8, "max_connections": 8})");
  f.engine.put("there", "value");
  hold_all_but_stale(f);
  Clients writers;
  park(f, 20, kPut, &writers);
  check_others_are_served(f);
  f.engine.release();
  for (auto& client : writers) CHECK(client->receive().status == 200);

  ApiFixture few(R"({"max_connections_per_address": 3})");
  few.engine.hold();
  Clients three;
  park(few, 3, kPut, &three);
  HttpClient fourth(few.port);
  CHECK(fourth.receive().status == 503);
  few.engine.release();
  for (auto& client : three) CHECK(client->receive().status == 200);
}

TEST_CASE(
    "a client that resets its connection is noticed; one that only ends sending is answered") {
  ApiFixture f(kSmallPool);
  f.engine.hold();
  Clients gone, half;
  park(f, 5, kPut, &gone);
  park(f, 5, kGet, &gone);
  park(f, 5, kPut, &half);
  park(f, 5, kGet, &half);
  for (auto& client : gone) client->reset();
  for (auto& client : half) client->shut_sending();
  ApiFixture::eventually([&] { return parked(f) == 10; });
  CHECK(answered(f, "kv_put", 400) == 5);
  CHECK(answered(f, "kv_get", 400) == 5);
  f.engine.release();
  for (auto& client : half) {
    CHECK(client->receive().status == 200);
    CHECK(client->closed());
  }
  ApiFixture::eventually([&] { return parked(f) == 0 && f.engine.open_readers() == 0; });
  CHECK(f.fetch("GET", "/api/v1/kv/k?raw=1").body == "v");
}

TEST_CASE("clients that leave at any moment around parking leave nothing behind") {
  ApiFixture f(kSmallPool);
  for (int round = 0; round < 20; ++round) {
    f.engine.hold();
    {
      Clients leaving;
      for (int i = 0; i < 6; ++i) {
        leaving.push_back(std::make_unique<HttpClient>(f.port));
        leaving.back()->send(i % 2 == 0 ? kPut : kGet);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + round));
      for (size_t i = 0; i < 3; ++i) leaving[i]->reset();
    }
    f.engine.release();
    ApiFixture::eventually([&] { return f.fetch("PUT", "/api/v1/kv/k", "v").status == 200; });
  }
  ApiFixture::eventually([&] { return parked(f) == 0 && f.engine.open_readers() == 0; });
}

// The moment is looked for: later when most were answered before they were parked, else earlier.
TEST_CASE("answers in the very moment of parking") {
  ApiFixture f(R"({"threads": 64})");
  constexpr size_t kClients = 32;
  Clients clients;
  for (size_t i = 0; i < kClients; ++i) clients.push_back(std::make_unique<HttpClient>(f.port));
  f.engine.put("k", "v");
  auto wait = std::chrono::microseconds(25'000);
  size_t before = 0, after = 0;
  for (int round = 0; round < 60; ++round) {
    f.engine.hold();
    const size_t parks_before = parks(f);
    for (size_t i = 0; i < kClients; ++i) clients[i]->send(i % 2 == 0 ? kPut : kGet);
    std::this_thread::sleep_for(wait);
    f.engine.release();
    for (auto& client : clients) {
      const Answer answer = client->receive();
      REQUIRE(answer.status == 200);
      REQUIRE(answer.complete);
    }
    const size_t late = parks(f) - parks_before;
    before += kClients - std::min(late, kClients);
    after += late;
    wait += std::chrono::microseconds(late * 2 > kClients ? -700 : 700);
    wait = std::max(wait, std::chrono::microseconds(0));
  }
  MESSAGE(before << " were answered before they were parked, " << after << " after");
  CHECK(after > 0);
  ApiFixture::eventually([&] { return parked(f) == 0 && f.engine.open_readers() == 0; });
}

TEST_CASE("stop while requests are parked, drained or not") {
  for (const bool drained : {true, false}) {
    CAPTURE(drained);
    ApiFixture f(kSmallPool);
    f.engine.hold();
    Clients clients;
    for (int i = 0; i < 20; ++i) park(f, 1, i % 2 == 0 ? kPut : kGet, &clients);
    std::thread late;
    if (drained) {
      f.stop();
    } else {
      // The completions are owed; they come after the answers.
      late = std::thread([&] {
        clients[0]->receive();
        f.engine.release();
      });
      f.stop_undrained();
      late.join();
    }
    for (size_t i = drained ? 0 : 1; i < clients.size(); ++i) {
      const Answer answer = clients[i]->receive();
      CHECK(answer.status == (i % 2 == 0 ? 504 : 503));
      CHECK(answer.complete);
      CHECK(clients[i]->closed());
    }
    CHECK(parked(f) == 0);
  }
}

TEST_CASE("stop while parked requests come back") {
  for (int round = 0; round < 20; ++round) {
    ApiFixture f(R"({"threads": 8, "max_data_requests": 2})");
    f.engine.put("k", "v");
    f.engine.hold();
    Clients clients;
    park(f, 6, kGet, &clients);
    f.engine.release();
    if (round % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(round * 50));
    f.stop();
    for (auto& client : clients) {
      const int status = client->receive().status;
      CHECK((status == 200 || status == 503));
    }
  }
}

TEST_CASE("beyond max_parked_requests what may wait is 429, what does not wait is served") {
  ApiFixture f(R"({"threads": 8, "max_parked_requests": 5})");
  f.engine.put("there", "value");
  hold_all_but_stale(f);
  Clients writers;
  park(f, 5, kPut, &writers);
  const uint64_t calls = f.engine.data_calls();
  for (const auto& [method, path] : {std::pair{"PUT", "/api/v1/kv/k"},
                                     {"GET", "/api/v1/kv/k"},
                                     {"GET", "/api/v1/kv"},
                                     {"GET", "/api/v1/kv/k?consistency=lease"},
                                     {"DELETE", "/api/v1/kv/k"},
                                     {"GET", "/api/v1/kv/k?consistency=stale&min_revision=9"},
                                     {"GET", "/api/v1/leases/7"}}) {
    CAPTURE(path);
    const Answer refused = f.fetch(method, path, std::string_view(method) == "PUT" ? "v" : "");
    CHECK(refused.status == 429);
    CHECK(refused.header("retry-after") == "1");
    CHECK(error_of(refused).find("max_parked_requests") != std::string::npos);
  }
  CHECK(f.engine.data_calls() == calls);
  check_others_are_served(f);
  CHECK(f.host.metric(R"(kvstore_http_parked_requests_limit{api="http-test"})") == 5);
  f.engine.release();
  for (auto& client : writers) CHECK(client->receive().status == 200);
  ApiFixture::eventually([&] { return f.fetch("PUT", "/api/v1/kv/k", "v").status == 200; });
}

TEST_CASE("beyond max_parked_bytes likewise") {
  ApiFixture f(R"({"threads": 8, "max_parked_bytes": 1048576})");
  f.engine.put("there", "value");
  hold_all_but_stale(f);
  Clients writers;
  const std::string large =
      "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n" +
      std::string(600'000, 'x');
  park(f, 1, large, &writers);
  park(f, 1, kGet, &writers);
  park(f, 1, large, &writers);
  const Answer refused = f.fetch("GET", "/api/v1/kv/k");
  CHECK(refused.status == 429);
  CHECK(error_of(refused).find("max_parked_bytes") != std::string::npos);
  check_others_are_served(f);
  f.engine.release();
  for (auto& client : writers) CHECK(client->receive().status == 200);
  CHECK(f.fetch("GET", "/api/v1/kv/k").status == 200);
}

TEST_CASE("administrative requests keep their place while they wait, and nobody else's") {
  ApiFixture f(R"({"threads": 64, "max_waiting_requests": 2})");
  hold_all_but_stale(f);
  Clients clients;
  park(f, 2, "GET /api/v1/admin/hash HTTP/1.1\r\nHost: h\r\n\r\n", &clients);
  CHECK(f.fetch("GET", "/api/v1/admin/hash").status == 429);
  CHECK(f.fetch("GET", "/api/v1/kv/k?consistency=stale").status == 404);
  f.engine.release();
  for (auto& client : clients) CHECK(client->receive().status == 501);  // as it is not scripted
  ApiFixture::eventually([&] { return f.fetch("GET", "/api/v1/admin/hash").status == 501; });
}

TEST_CASE("every kind of request that waits is answered as ever") {
  ApiFixture f(kSmallPool);
  f.engine.put("k", "v");
  f.engine.put("large", std::string(3 << 20, 'l'));
  f.engine.hold();
  const auto json_post = [](const std::string& path, const std::string& body) {
    return request_text("POST", path, body, "Content-Type: application/json\r\n");
  };
  Clients clients;
  park(f, 1, "HEAD /api/v1/kv/k HTTP/1.1\r\nHost: h\r\n\r\n", &clients);
  park(f, 1, "GET /api/v1/kv/large?raw=1 HTTP/1.1\r\nHost: h\r\n\r\n", &clients);
  park(f, 1, "GET /api/v1/kv HTTP/1.1\r\nHost: h\r\nAccept: application/x-ndjson\r\n\r\n",
       &clients);
  park(f, 1, json_post("/api/v1/txn", R"({"then": [{"op": "get", "key": "k"}]})"), &clients);
  park(f, 1, json_post("/api/v1/batch", R"({"operations": [{"op": "put", "key": "b", "text": "1"},
                                                     {"op": "get", "key": "b"}]})"),
       &clients);
  park(f, 1, request_text("DELETE", "/api/v1/kv?prefix=none", "", ""), &clients);
  park(f, 1, request_text("GET", "/api/v1/watch?wait=1ms", "", ""), &clients);
  park(f, 1, "GET /api/v1/kv/k HTTP/1.0\r\nHost: h\r\n\r\n", &clients);
  park(f, 1, "GET /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", &clients);
  f.engine.release();
  const Answer head = clients[0]->receive(true);
  CHECK(head.status == 200);
  CHECK(head.header("content-length") != "0");
  CHECK(clients[1]->receive().body == std::string(3 << 20, 'l'));
  CHECK(clients[2]->receive().body.find("\"end\":true") != std::string::npos);
  CHECK(clients[3]->receive().body.find("\"succeeded\":true") != std::string::npos);
  CHECK(json::parse(clients[4]->receive().body)["succeeded"] == 2);
  CHECK(json::parse(clients[5]->receive().body)["deleted"] == 0);
  CHECK(clients[6]->receive().body.find("\"events\":[]") != std::string::npos);
  for (size_t i : {7, 8}) {
    const Answer last = clients[i]->receive();
    CHECK(last.status == 200);
    CHECK(last.header("connection") == "close");
    CHECK(clients[i]->closed());
  }
  for (size_t i : {0, 1, 2, 3, 4, 5, 6}) CHECK(clients[i]->exchange(kGet).body == "v");
}

TEST_CASE("a body that is still arriving, and requests sent ahead") {
  ApiFixture f(kSmallPool);
  f.engine.hold();
  Clients clients;
  // Two parts have come and wait to be written; the rest of the body is on its way.
  const std::string body(4 << 20, 'b');
  park(f, 1,
       "PUT /api/v1/kv/up HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body.substr(0, 2 << 20),
       &clients);
  std::thread rest([&, uploader = clients[0].get()] { uploader->send(body.substr(2 << 20)); });
  park(f, 1, kPut + kGet + kPut, &clients);
  CHECK(f.fetch("GET", "/livez").status == 200);
  f.engine.release();
  rest.join();
  CHECK(clients[0]->receive().status == 200);
  CHECK(f.engine.value_of("up") == body);
  CHECK(clients[0]->exchange(kGet).body == "v");
  CHECK(clients[1]->receive().status == 200);
  CHECK(clients[1]->receive().body == "v");
  CHECK(clients[1]->receive().status == 200);
  CHECK(clients[1]->exchange(kGet).body == "v");
}

TEST_CASE("a thousand parked requests take little memory and no thread") {
  ApiFixture f(R"({"threads": 8, "max_connections": 64})");
  f.engine.put("there", "value");
  hold_all_but_stale(f);
  [[maybe_unused]] const size_t count = affordable(1000), before = resident_bytes();
  Clients writers;
  for (size_t i = 0; i < count; i += 5) {
    // As many at once as there are places for those that have just begun to wait.
    for (size_t j = 0; j < 5; ++j) {
      writers.push_back(std::make_unique<HttpClient>(f.port));
      writers.back()->send(kPut);
    }
    ApiFixture::eventually([&] { return parked(f) == i + 5; });
  }
  check_others_are_served(f);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const size_t grown = resident_bytes() - std::min(before, resident_bytes());
  MESSAGE(writers.size() << " parked requests took " << (grown >> 10) << " KiB");
  CHECK(grown < writers.size() * (32 << 10));
#endif
  f.engine.release();
  for (auto& client : writers) CHECK(client->receive().status == 200);
}
