// Goal: watches over HTTP: what is asked of the engine, what clients read in each format, how they
// resume, how they end; and that any number of them holds no thread and bounded memory.
// Method: a scripted engine that delivers what a case says, and clients that read piece by piece.
#include <set>

#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "fixture.hpp"

using namespace kvstore;
using namespace kvstore::conformance;

namespace {

constexpr const char* kLines = "Accept: application/x-ndjson\r\n";

// A watch that has been opened: its head was received.
struct Watcher {
  HttpClient client;
  Answer head;
  Watcher(const ApiFixture& api, const std::string& query, const std::string& headers = {})
      : client(api.port) {
    client.send(request_text("GET", "/api/v1/watch" + query, {}, headers));
    head = client.receive_head();
  }
};

std::vector<FakeChange> one(uint64_t revision, const std::string& key, const std::string& value) {
  return {{revision, key, value, {}, false}};
}

void raise_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

TEST_CASE("an event stream carries the id of a revision on its last change") {
  ApiFixture api;
  Watcher w(api, "?prefix=a%2F&from_revision=5&prev=true");
  CHECK(w.head.status == 200);
  CHECK(w.head.header("content-type") == "text/event-stream");
  CHECK(w.head.header("cache-control") == "no-store");
  CHECK(w.head.header("x-kvstore-revision") == "1");
  CHECK(w.head.header("x-kvstore-node") == "node-x");
  // Where it stands, for a client that is cut before the first change.
  CHECK(w.client.receive_until("\n\n") == ": alive\nid: 4\n\n");
  const WatchAsked asked = api.engine.watches.asked(0);
  CHECK(asked.flags == (KVS_WATCH_PREV | KVS_WATCH_PROGRESS));
  CHECK(asked.kind == KVS_RANGE_UNTIL);
  CHECK(asked.key == "a/");
  CHECK(asked.end == "a0");
  CHECK(asked.from_revision == 5);
  CHECK(asked.remote_address.starts_with("127.0.0.1:"));
  REQUIRE(api.engine.watches.deliver(
      0, {{5, "a/x", "1", {}, true}, {5, "a/\xff", "2", "0", false}, {6, "a/x", {}, "1", false}},
      6));
  CHECK(w.client.receive_until("id: 6\ndata: {\"type\":\"delete\",\"revision\":6,\"key\":\"a/x\","
                               "\"prev\":{\"key\":\"a/x\",\"value\":\"MQ==\",\"create_revision\":5,"
                               "\"mod_revision\":5,\"version\":1}}\n\n") ==
        "event: put\n"
        "data: {\"type\":\"put\",\"revision\":5,\"key\":\"a/x\",\"value\":\"MQ==\","
        "\"create_revision\":5,\"mod_revision\":5,\"version\":1,\"more\":true}\n\n"
        "event: put\n"
        "id: 5\n"
        "data: {\"type\":\"put\",\"revision\":5,\"key_base64\":\"YS//\",\"value\":\"Mg==\","
        "\"create_revision\":5,\"mod_revision\":5,\"version\":1,"
        "\"prev\":{\"key_base64\":\"YS//\",\"value\":\"MA==\",\"create_revision\":4,"
        "\"mod_revision\":4,\"version\":1}}\n\n"
        "event: delete\n"
        "id: 6\n"
        "data: {\"type\":\"delete\",\"revision\":6,\"key\":\"a/x\","
        "\"prev\":{\"key\":\"a/x\",\"value\":\"MQ==\",\"create_revision\":5,"
        "\"mod_revision\":5,\"version\":1}}\n\n");
}

TEST_CASE("lines of JSON, with progress in between") {
  ApiFixture api(R"({"watch_heartbeat_ms": 100})");
  Watcher w(api, "?key=k", kLines);
  CHECK(w.head.header("content-type") == "application/x-ndjson");
  CHECK(w.client.receive_until("\n") == "{\"type\":\"progress\",\"revision\":1}\n");
  CHECK(api.engine.watches.asked(0).kind == KVS_RANGE_KEY);
  CHECK(api.engine.watches.asked(0).key == "k");
  CHECK(api.engine.watches.asked(0).from_revision == 2);
  REQUIRE(api.engine.watches.deliver(0, one(2, "k", "v"), 2));
  std::string text;
  while (text.find("\"put\"") == std::string::npos) text = w.client.receive_until("\n");
  CHECK(text ==
        "{\"type\":\"put\",\"revision\":2,\"key\":\"k\",\"value\":\"dg==\","
        "\"create_revision\":2,\"mod_revision\":2,\"version\":1}\n");
  REQUIRE(api.engine.watches.progress(0, 9));
  while (text != "{\"type\":\"progress\",\"revision\":9}\n") {
    text = w.client.receive_until("\n");
    REQUIRE(text.starts_with("{\"type\":\"progress\""));
  }
}

TEST_CASE("signs of life in an event stream, and progress when asked for") {
  ApiFixture api(R"({"watch_heartbeat_ms": 50})");
  Watcher quiet(api, "?from_revision=3"), asked(api, "?progress=true&from_revision=3");
  CHECK(quiet.client.receive_until("\n\n") == ": alive\nid: 2\n\n");
  CHECK(asked.client.receive_until("\n\n") == "event: progress\nid: 2\ndata: {\"revision\":2}\n\n");
  REQUIRE(api.engine.watches.progress(0, 7));
  std::string text;
  while (text != ": alive\nid: 7\n\n") {
    text = quiet.client.receive_until("\n\n");
    REQUIRE(text.starts_with(": alive\n"));
  }
  // Not all of revision 8 has come: the resume point does not move to it.
  REQUIRE(api.engine.watches.deliver(0, {{8, "k", "v", {}, true}}, 7));
  CHECK(quiet.client.receive_until("\n\n").starts_with("event: put\ndata: "));
  CHECK(quiet.client.receive_until("\n\n") == ": alive\nid: 7\n\n");
}

TEST_CASE("a client resumes behind the last revision that it has") {
  ApiFixture api;
  Watcher w(api, "?from_revision=3&start=b&end=d", "Last-Event-ID: 41\r\n");
  CHECK(w.head.status == 200);
  CHECK(api.engine.watches.asked(0).from_revision == 42);
  CHECK(api.engine.watches.asked(0).key == "b");
  CHECK(api.engine.watches.asked(0).end == "d");
  Watcher all(api, "");
  CHECK(api.engine.watches.asked(1).kind == KVS_RANGE_ALL);
}

TEST_CASE("what cannot be watched is said before the stream begins") {
  ApiFixture api(R"({"max_key_bytes": 10})");
  for (const char* query :
       {"?from_revision=0", "?from_revision=x", "?key=", "?key=a&prefix=b", "?prefix=a&start=b",
        "?key=a&end=b", "?wait=0", "?wait=11m", "?wait=1s&progress=true", "?prev=maybe",
        "?nonsense=1", "?prefix=12345678901"}) {
    CAPTURE(query);
    CHECK(api.fetch("GET", std::string("/api/v1/watch") + query).status == 400);
  }
  CHECK(api.fetch("GET", "/api/v1/watch", {}, "Last-Event-ID: x\r\n").status == 400);
  CHECK(api.fetch("POST", "/api/v1/watch").status == 405);
  CHECK(api.engine.watches.opened() == 0);
  const Answer head = api.fetch("HEAD", "/api/v1/watch");
  CHECK(head.status == 200);
  CHECK(head.header("content-type") == "text/event-stream");
  CHECK(api.engine.watches.opened() == 0);

  api.engine.watches.refuse_next(KVS_E_COMPACTED, "the oldest are those of revision 7");
  const Answer gone = api.fetch("GET", "/api/v1/watch?from_revision=3");
  CHECK(gone.status == 410);
  CHECK(gone.body.find("\"code\":\"compacted\"") != std::string::npos);
  CHECK(gone.body.find("revision 7") != std::string::npos);
  api.engine.watches.refuse_next(KVS_E_BUSY, "too many");
  CHECK(api.fetch("GET", "/api/v1/watch").status == 429);
}

TEST_CASE("watches above max_watches are 429, until another one ends") {
  ApiFixture api(R"({"max_watches": 2})");
  Watcher first(api, ""), second(api, "");
  CHECK(second.head.status == 200);
  const Answer third = api.fetch("GET", "/api/v1/watch");
  CHECK(third.status == 429);
  CHECK(third.header("retry-after") == "1");
  CHECK(third.body.find("max_watches") != std::string::npos);
  first.client.close();
  api.eventually([&] { return api.engine.watches.open() == 1; });
  api.eventually([&] { return Watcher(api, "").head.status == 200; });
}

TEST_CASE("the end of a watch says why, and where to go on") {
  ApiFixture api;
  Watcher events(api, "?from_revision=1"), lines(api, "", kLines), compacted(api, "", kLines);
  api.engine.watches.end(0, KVS_E_BUSY, 12);
  const std::string text = events.client.receive_rest();
  const size_t at = text.find("event: error\ndata: ");
  REQUIRE(at != std::string::npos);
  auto json = nlohmann::json::parse(text.substr(at + 19));
  CHECK(json["error"]["code"] == "busy");
  CHECK(json["error"]["retryable"] == true);
  CHECK(json["resume_from"] == 13);
  CHECK(events.client.closed());

  const auto last_line = [](HttpClient& client) {
    std::string rest = client.receive_rest();
    rest.pop_back();
    return nlohmann::json::parse(rest.substr(rest.rfind('\n') + 1));
  };
  api.engine.watches.end(1, KVS_E_CANCELLED, 5);
  json = last_line(lines.client);
  CHECK(json["type"] == "error");
  CHECK(json["error"]["code"] == "cancelled");
  CHECK(json["resume_from"] == 6);
  api.engine.watches.end(2, KVS_E_COMPACTED, 30);
  json = last_line(compacted.client);
  CHECK(json["error"]["code"] == "compacted");
  CHECK_FALSE(json.contains("resume_from"));
  api.eventually([&] { return api.engine.watches.open() == 0; });
}

TEST_CASE("a client that does not read is given no more than a bounded amount, then cut") {
  ApiFixture api(R"({"send_timeout_ms": 500})");
  Watcher deaf(api, ""), other(api, "");
  const std::string value(200 << 10, 'v');
  uint64_t delivered = 0;
  bool cut = false;
  // Socket buffers take some megabytes; then credit stops, and what is not taken ends the stream.
  api.eventually([&] {
    if (api.engine.watches.deliver(0, one(delivered + 2, "k", value), delivered + 2)) ++delivered;
    cut = !api.engine.watches.is_open(0);
    return cut;
  });
  CHECK(delivered < 200);
  REQUIRE(api.engine.watches.deliver(1, one(2, "k", "v"), 2));
  CHECK(other.client.receive_until("\n\n").size() > 0);
  CHECK(api.engine.watches.open() == 1);
}

TEST_CASE("credit comes back as the client reads") {
  ApiFixture api;
  Watcher reader(api, "", kLines);
  const std::string value(300 << 10, 'v');
  std::thread writer([&] {
    for (uint64_t i = 0; i < 60; ++i) {
      api.eventually([&] { return api.engine.watches.deliver(0, one(i + 2, "k", value), i + 2); });
    }
    api.engine.watches.end(0, KVS_E_CANCELLED, 61);
  });
  const std::string text = reader.client.receive_rest();
  writer.join();
  size_t changes = 0;
  for (size_t at = text.find("\"put\""); at != std::string::npos;
       at = text.find("\"put\"", at + 1)) {
    CHECK(text.compare(at + 6, 11, "\"revision\":") == 0);
    CHECK(std::strtoull(text.c_str() + at + 17, nullptr, 10) == changes + 2);
    ++changes;
  }
  CHECK(changes == 60);
}

TEST_CASE("a long poll answers once, and its connection goes on") {
  ApiFixture api;
  HttpClient client(api.port);
  client.send(request_text("GET", "/api/v1/watch?wait=60s&from_revision=4&prefix=k", {}, {}));
  api.eventually([&] { return api.engine.watches.opened() == 1; });
  // A revision that has begun is answered whole.
  REQUIRE(api.engine.watches.deliver(0, {{4, "k", "1", {}, false}, {5, "k", "2", {}, true}}, 4));
  api.eventually([&] { return api.engine.watches.deliver(0, {{5, "kk", {}, {}, false}}, 6); });
  Answer answer = client.receive();
  CHECK(answer.status == 200);
  CHECK(answer.complete);
  CHECK(answer.header("content-type") == "application/json");
  CHECK(answer.header("x-kvstore-revision") == "6");
  auto json = nlohmann::json::parse(answer.body);
  CHECK(json["revision"] == 6);
  REQUIRE(json["events"].size() == 3);
  CHECK(json["events"][0]["value"] == "MQ==");
  CHECK(json["events"][1]["more"] == true);
  CHECK(json["events"][2]["type"] == "delete");
  api.eventually([&] { return api.engine.watches.open() == 0; });

  // The same connection: nothing comes, then something else is asked.
  answer = client.request("GET", "/api/v1/watch?wait=20ms&from_revision=7");
  CHECK(answer.status == 200);
  CHECK(nlohmann::json::parse(answer.body) ==
        nlohmann::json{{"events", nlohmann::json::array()}, {"revision", 6}});
  CHECK(client.request("GET", "/livez").status == 200);
  client.send(request_text("GET", "/api/v1/watch?wait=60s&from_revision=7", {}, {}));
  api.eventually([&] { return api.engine.watches.opened() == 3; });
  api.engine.watches.end(2, KVS_E_COMPACTED, 9);
  answer = client.receive();
  CHECK(answer.status == 410);
  CHECK(client.request("GET", "/livez").status == 200);
}

TEST_CASE("a long poll whose revision is too large says so") {
  ApiFixture api;
  HttpClient client(api.port);
  client.send(request_text("GET", "/api/v1/watch?wait=60s&from_revision=2", {}, {}));
  api.eventually([&] { return api.engine.watches.opened() == 1; });
  const std::string value(900 << 10, 'v');
  for (int i = 0; i < 4; ++i) {
    REQUIRE(api.engine.watches.deliver(0, {{2, "k" + std::to_string(i), value, {}, true}}, 1));
  }
  const Answer answer = client.receive();
  CHECK(answer.status == 413);
  CHECK(answer.body.find("revision 2") != std::string::npos);
}

TEST_CASE("more than a thousand watches and long polls hold no thread") {
  raise_descriptors();
  ApiFixture api(R"({"threads": 8, "max_watches": 2000, "max_connections": 16})");
  constexpr size_t kStreams = 1100, kPolls = 100;
  std::vector<std::unique_ptr<Watcher>> streams;
  for (size_t i = 0; i < kStreams; ++i) {
    streams.push_back(std::make_unique<Watcher>(api, "?from_revision=2", kLines));
    REQUIRE(streams.back()->head.status == 200);
  }
  std::vector<std::unique_ptr<HttpClient>> polls;
  for (size_t i = 0; i < kPolls; ++i) {
    polls.push_back(std::make_unique<HttpClient>(api.port));
    polls.back()->send(request_text("GET", "/api/v1/watch?wait=600s&from_revision=2", {}, {}));
    api.eventually([&] { return api.engine.watches.opened() == kStreams + i + 1; });
  }
  CHECK(api.fetch("PUT", "/api/v1/kv/k", "v").status == 200);
  CHECK(api.fetch("GET", "/health").status != 0);
  for (size_t i = 0; i < kStreams + kPolls; ++i) {
    api.eventually([&] { return api.engine.watches.deliver(i, one(2, "k", "v"), 2); });
  }
  for (auto& stream : streams) {
    std::string text;
    while (text.find("\"put\"") == std::string::npos) {
      const std::string more = stream->client.receive_until("\n");
      REQUIRE_FALSE(more.empty());
      text += more;
    }
  }
  for (auto& poll : polls) CHECK(poll->receive().status == 200);
  api.stop();
  for (auto& stream : streams) stream->client.receive_rest();
  CHECK(streams[7]->client.closed());
}

TEST_CASE("watches end with the server, told by the engine or not") {
  {
    ApiFixture api;
    Watcher w(api, "", kLines);
    api.stop();
    CHECK(w.client.receive_rest().find("\"cancelled\"") != std::string::npos);
  }
  ApiFixture api;
  Watcher w(api, "", kLines);
  HttpClient poll(api.port);
  poll.send(request_text("GET", "/api/v1/watch?wait=600s", {}, {}));
  api.eventually([&] { return api.engine.watches.opened() == 2; });
  api.stop_undrained();
  w.client.receive_rest();
  CHECK(w.client.closed());
  CHECK(poll.closed());
  CHECK(api.engine.watches.open() == 0);
}

TEST_CASE("clients that leave, at once or in the middle, leave nothing behind") {
  ApiFixture api;
  for (size_t i = 0; i < 200; ++i) {
    HttpClient client(api.port);
    client.send(
        request_text("GET", i % 3 == 0 ? "/api/v1/watch?wait=60s" : "/api/v1/watch", {}, {}));
    if (i % 2 == 0) {
      api.eventually([&] { return api.engine.watches.opened() > i / 2; });
    }
    if (i % 5 == 0) client.reset();
  }
  api.eventually([&] { return api.engine.watches.open() == 0; });
  CHECK(api.fetch("GET", "/livez").status == 200);
}

TEST_CASE("HTTP/1.0 clients read a stream up to the connection's end") {
  ApiFixture api;
  HttpClient client(api.port);
  client.send("GET /api/v1/watch HTTP/1.0\r\nAccept: application/x-ndjson\r\n\r\n");
  api.eventually([&] { return api.engine.watches.opened() == 1; });
  REQUIRE(api.engine.watches.deliver(0, one(2, "k", "v"), 2));
  api.engine.watches.end(0, KVS_E_BUSY, 2);
  const Answer answer = client.receive();
  CHECK(answer.status == 200);
  CHECK(answer.header("transfer-encoding") == "");
  CHECK(answer.body.find("{\"type\":\"put\",\"revision\":2") != std::string::npos);
  CHECK(answer.body.find("\"resume_from\":3") != std::string::npos);
}

}  // namespace
