// Goal: whatever comes over the wire is answered or cut, and never held against other clients.
// Method: malformed, slow, oversize and too many requests, byte by byte over raw sockets.
#include <nlohmann/json.hpp>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;
using nlohmann::json;

namespace {

Answer raw(const ApiFixture& f, const std::string& bytes) {
  HttpClient client(f.port);
  client.send(bytes);
  return client.receive();
}

std::string code_of(const Answer& answer) {
  const json document = json::parse(answer.body, nullptr, false);
  return document.is_object() ? document["error"]["code"].get<std::string>() : "no document";
}

}  // namespace

TEST_CASE("unknown routes and wrong methods") {
  ApiFixture f;
  for (const char* path : {"/", "/api/v1", "/api/v1/kvs/x", "/api/v2/kv/x", "/favicon.ico",
                           "/api/v1/cluster/nothing"}) {
    const Answer answer = f.fetch("GET", path);
    CHECK(answer.status == 404);
    CHECK(code_of(answer) == "unknown_route");
  }
  Answer answer = f.fetch("POST", "/api/v1/kv/k", "v");
  CHECK(answer.status == 405);
  CHECK(code_of(answer) == "method_not_allowed");
  CHECK(answer.header("allow") == "PUT, DELETE, GET, HEAD");
  CHECK(f.fetch("PUT", "/api/v1/kv", "v").header("allow") == "GET, HEAD, DELETE");
  CHECK(f.fetch("BREW", "/api/v1/kv/k").status == 405);
  CHECK(f.fetch("DELETE", "/metrics").status == 405);
  CHECK(f.engine.data_calls() == 0);
}

TEST_CASE("keep-alive, pipelining, and the end of a connection") {
  ApiFixture f;
  HttpClient client(f.port);
  client.send(
      "PUT /api/v1/kv/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n1"
      "\r\nGET /api/v1/kv/a?raw=1 HTTP/1.1\r\nHost: h\r\n\r\n"
      "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  CHECK(client.receive().status == 200);
  CHECK(client.receive().body == "1");
  const Answer last = client.receive();
  CHECK(last.status == 200);
  CHECK(last.header("connection") == "close");
  CHECK(client.closed());

  HttpClient old(f.port);
  old.send("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(old.receive().header("connection") == "keep-alive");
  old.send("GET /api/v1/kv HTTP/1.0\r\nAccept: application/x-ndjson\r\n\r\n");
  CHECK(old.receive().headers.count("transfer-encoding") == 0);
  CHECK(old.closed());
}

TEST_CASE("a request byte by byte is a request") {
  ApiFixture f;
  HttpClient client(f.port);
  for (const char c :
       std::string("PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")) {
    client.send(std::string(1, c));
  }
  CHECK(client.receive().status == 200);
  CHECK(f.engine.value_of("k") == "abc");
}

TEST_CASE("the absolute form of a target") {
  ApiFixture f;
  CHECK(raw(f, "GET http://host:80/livez HTTP/1.1\r\nHost: h\r\n\r\n").status == 200);
}

TEST_CASE("malformed and ambiguous requests are refused, and the connection ends") {
  ApiFixture f;
  const std::string get = "GET /livez HTTP/1.1\r\n";
  const std::string put = "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\n";
  const std::pair<std::string, int> rows[] = {
      {"nonsense\r\n\r\n", 400},
      {"GET /livez\r\n\r\n", 400},
      {"GET  /livez HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET livez HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /livez HTTP/2.0\r\nHost: h\r\n\r\n", 505},
      {get + "\r\n", 400},                                       // no Host
      {get + "Host: h\r\nHost: h\r\n\r\n", 400},                 //
      {get + "Host: h\nX: y\r\n\r\n", 400},                      // bare LF
      {"GET /livez HTTP/1.1\nHost: h\n\n", 400},                 //
      {get + "Host: h\r\nX: a\r\n b\r\n\r\n", 400},              // folded
      {get + "Host: h\r\nX : a\r\n\r\n", 400},                   // space before the colon
      {get + "Host: h\r\nX\r\n\r\n", 400},                       // no colon
      {get + std::string("Host: h\r\nX: \0\r\n\r\n", 17), 400},  // NUL
      {get + "Host: h\r\nExpect: more\r\n\r\n", 417},
      {put + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nv", 400},
      {put + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nv", 400},
      {put + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {put + "Content-Length: -1\r\n\r\n", 400},
      {put + "Content-Length: 1, 1\r\n\r\nv", 400},
      {put + "Content-Length: 0x1\r\n\r\nv", 400},
      {put + "Content-Length: 99999999999999999999\r\n\r\nv", 400},
      {put + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {put + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {put + "Transfer-Encoding: chunked\r\n\r\n1\r\nvv\r\n0\r\n\r\n", 400},
      {put + "Transfer-Encoding: chunked\r\n\r\n1\nv\r\n0\r\n\r\n", 400},
      {put + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
      {put + "\r\n", 411},
      {"POST /api/v1/cluster/nodes HTTP/1.1\r\nHost: h\r\n\r\n", 411},
      {"PUT /api/v1/kv/k HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"GET /" + std::string(20000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
      {get + "Host: h\r\nX: " + std::string(40000, 'x') + "\r\n\r\n", 431},
      {get + "Host: h\r\nX: " + std::string(40000, 'x'), 431},
      {get + "Host: h\r\nX: " + std::string(9000, 'x') + "\r\n\r\n", 400},
  };
  for (const auto& [bytes, status] : rows) {
    CAPTURE(bytes.substr(0, 120));
    HttpClient client(f.port);
    client.send(bytes);
    const Answer answer = client.receive();
    CHECK(answer.status == status);
    CHECK(answer.complete);
    CHECK(answer.header("connection") == "close");
    CHECK(json::parse(answer.body, nullptr, false).is_object());
    CHECK(client.closed());
  }
  CHECK(f.engine.data_calls() == 0);
  // The plugin asks for the node's name by itself.
  for (const auto& call : f.engine.control_calls()) CHECK(call.verb == "cluster.status");
}

TEST_CASE("a refusal after a HEAD has its body") {
  ApiFixture f;
  HttpClient client(f.port);
  CHECK(client.request("HEAD", "/livez").status == 200);
  client.send("nonsense\r\n\r\n");
  const Answer answer = client.receive();
  CHECK(answer.status == 400);
  CHECK(answer.complete);
  CHECK(!answer.body.empty());
}

TEST_CASE("too many header fields") {
  ApiFixture f;
  std::string bytes = "GET /livez HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 200; ++i) bytes.append("X").append(std::to_string(i)).append(": y\r\n");
  CHECK(raw(f, bytes + "\r\n").status == 400);
}

TEST_CASE("a slow header and a slow body are given up") {
  ApiFixture f(
      R"({"header_timeout_ms": 100, "body_timeout_ms": 100, "keep_alive_timeout_ms": 100})");
  CHECK(raw(f, "GET /livez HTTP/1.1\r\nHost").status == 408);
  const Answer body = raw(f, "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  CHECK(body.status == 408);
  CHECK(code_of(body) == "request_timeout");
  CHECK(body.header("connection") == "close");
  HttpClient silent(f.port);
  CHECK(silent.closed());
  HttpClient idle(f.port);
  CHECK(idle.request("GET", "/livez").status == 200);
  CHECK(idle.closed());
  CHECK(f.engine.data_calls() == 0);
}

TEST_CASE("a slow body of an upload is given up, and the upload closed") {
  ApiFixture f(R"({"body_timeout_ms": 100, "min_bytes_per_second": 1000000000})");
  HttpClient client(f.port);
  client.send("PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n" +
              std::string(3'000'000, 'x'));
  CHECK(client.receive().status == 408);
  ApiFixture::eventually([&] { return f.engine.open_uploads() == 0; });
  CHECK(f.engine.txn_calls() == 0);
}

TEST_CASE("a client that does not read its answer is cut") {
  ApiFixture f(R"({"send_timeout_ms": 100, "min_bytes_per_second": 1000000000})");
  f.engine.put("k", std::string(64 << 20, 'x'));
  HttpClient client(f.port);
  client.send("GET /api/v1/kv/k HTTP/1.1\r\nHost: h\r\n\r\n");
  ApiFixture::eventually([&] { return f.engine.open_readers() == 1; });
  ApiFixture::eventually([&] { return f.engine.open_readers() == 0; });
  CHECK(!client.receive().complete);
}

TEST_CASE("saturated by data requests: 429 at once, health and metrics answer") {
  ApiFixture f(R"({"threads": 8, "max_data_requests": 4})");
  Scripted healthy;
  healthy.json = R"({"status":"ok"})";
  f.engine.set_control("health", healthy);
  f.engine.set_readers_ready(true);
  const std::string put = "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nv";
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<HttpClient>(f.port));
    clients.back()->send(put);  // a body that is not complete keeps its place
  }
  Answer refused;
  ApiFixture::eventually([&] {
    refused = f.fetch("GET", "/api/v1/kv/k");
    return refused.status == 429;
  });
  CHECK(refused.body.find("max_data_requests") != std::string::npos);
  CHECK(refused.header("retry-after") == "1");
  CHECK(json::parse(refused.body)["error"]["retryable"] == true);
  CHECK(f.fetch("GET", "/metrics").status == 200);
  CHECK(f.fetch("GET", "/livez").status == 200);
  CHECK(f.fetch("GET", "/health").status == 200);
  for (auto& client : clients) client->send("w");
  for (auto& client : clients) CHECK(client->receive().status == 200);
  CHECK(f.fetch("PUT", "/api/v1/kv/k", "v").status == 200);
}

TEST_CASE("more connections than threads: idle ones give way") {
  ApiFixture f(R"({"threads": 8, "max_connections": 64})");
  std::vector<std::unique_ptr<HttpClient>> idle;
  for (int i = 0; i < 8; ++i) {
    idle.push_back(std::make_unique<HttpClient>(f.port));
    CHECK(idle.back()->request("GET", "/livez").status == 200);
  }
  CHECK(f.fetch("GET", "/livez").status == 200);
}

TEST_CASE("too many connections with a request under way get 503") {
  ApiFixture f(R"({"threads": 16, "max_connections": 8})");
  const std::string put = "PUT /api/v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nv";
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<HttpClient>(f.port));
    clients.back()->send(put);
  }
  HttpClient extra(f.port);
  const Answer refused = extra.receive();
  CHECK(refused.status == 503);
  CHECK(refused.header("retry-after") == "1");
  CHECK(extra.closed());
  clients.clear();
  ApiFixture::eventually([&] { return f.fetch("GET", "/livez").status == 200; });
}

TEST_CASE("one address cannot take every connection") {
  ApiFixture f(R"({"max_connections_per_address": 2})");
  HttpClient a(f.port), b(f.port);
  CHECK(a.request("GET", "/livez").status == 200);
  CHECK(b.request("GET", "/livez").status == 200);
  HttpClient c(f.port);
  CHECK(c.receive().status == 503);
}
