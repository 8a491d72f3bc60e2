// Goal: every call of the client library sends what the HTTP API expects.
// Method: a scripted server records the requests; each case compares one.
#include <kvstore/client/client.hpp>

#include <doctest/doctest.h>

#include "scripted_server.hpp"

namespace kvstore::client {
namespace {

using namespace std::string_literals;
using test::json_reply;
using test::Reply;
using test::ScriptedServer;
using test::SeenRequest;

// The timeout is for machines that are slow or busy; no case waits for it.
Client connect(const ScriptedServer& server) {
  ClientOptions options;
  options.servers = {server.url()};
  options.timeout = std::chrono::minutes(1);
  auto client = Client::create(options);
  REQUIRE(client);
  return std::move(*client);
}

SeenRequest only_request(const ScriptedServer& server) {
  const auto requests = server.requests();
  REQUIRE(requests.size() == 1);
  return requests[0];
}

TEST_CASE("put sends the raw value and reads the revision from the headers") {
  ScriptedServer server([](const SeenRequest&) {
    Reply reply = json_reply(200, R"({"key":"k","revision":7})");
    reply.headers["X-Kvstore-Revision"] = "7";
    reply.headers["X-Kvstore-Node"] = "node2";
    return reply;
  });
  Client client = connect(server);
  const auto result = client.put("k", "a\0b\xff"s, {});
  REQUIRE(result);
  CHECK(result->revision == 7);
  CHECK(result->info.node == "node2");
  CHECK(result->info.server == server.url());
  const SeenRequest request = only_request(server);
  CHECK(request.method == "PUT");
  CHECK(request.path == "/api/v1/kv/k");
  CHECK(request.query.empty());
  CHECK(request.headers.at("content-type") == "application/octet-stream");
  CHECK(request.headers.at("content-length") == "4");
  CHECK(request.headers.at("host") == server.address());
  CHECK(request.headers.count("if-match") == 0);
  CHECK(request.body == "a\0b\xff"s);
}

TEST_CASE("a put carries the lifetime of its key") {
  ScriptedServer server([](const SeenRequest&) { return json_reply(200, "{}"); });
  Client client = connect(server);
  Lifetime lifetime;
  lifetime.lease = 7;
  REQUIRE(client.put("k", "v", {}, lifetime));
  lifetime.ttl = std::chrono::milliseconds(250);
  const auto both = client.put("k", "v", {}, lifetime);
  REQUIRE_FALSE(both);
  CHECK(both.error().kind == ErrorKind::kInvalidArgument);
  lifetime.lease = 0;
  REQUIRE(client.put("k", "v", {}, lifetime));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].query == "lease=7");
  CHECK(requests[1].query == "ttl=250ms");
}

TEST_CASE("calls of leases") {
  ScriptedServer server([](const SeenRequest& request) {
    if (request.path != "/api/v1/leases" || request.method == "POST")
      return json_reply(200, R"({"id":7,"ttl_ms":1500,"remaining_ms":20,"deleted":3,)"
                             R"("keys":[{"key":"a"}],"more_keys":true})");
    return request.query == "after=0" ? json_reply(200, R"({"leases":[{"id":7}],"more":true})")
                                      : json_reply(200, R"({"leases":[{"id":9}],"more":false})");
  });
  Client client = connect(server);
  const auto granted = client.grant_lease(std::chrono::milliseconds(1500), 7);
  REQUIRE(granted);
  CHECK(granted->id == 7);
  CHECK(granted->ttl == std::chrono::milliseconds(1500));
  REQUIRE(client.grant_lease(std::chrono::milliseconds(1500)));
  REQUIRE(client.keep_alive(7));
  const auto lease = client.get_lease(7);
  REQUIRE(lease);
  CHECK(lease->remaining == std::chrono::milliseconds(20));
  CHECK(lease->keys == std::vector<std::string>{"a"});
  CHECK(lease->more_keys);
  const auto revoked = client.revoke_lease(7);
  REQUIRE(revoked);
  CHECK(revoked->deleted == 3);
  const auto list = client.list_leases();
  REQUIRE(list);
  REQUIRE(list->leases.size() == 2);
  CHECK(list->leases[1].id == 9);
  const std::vector<std::string> expected = {
      "POST /api/v1/leases",  "POST /api/v1/leases",     "POST /api/v1/leases/7/keepalive",
      "GET /api/v1/leases/7", "DELETE /api/v1/leases/7", "GET /api/v1/leases",
      "GET /api/v1/leases"};
  const auto requests = server.requests();
  REQUIRE(requests.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    CHECK(requests[i].method + " " + requests[i].path == expected[i]);
  CHECK(requests[0].body == R"({"id":7,"ttl":"1500ms"})");
  CHECK(requests[1].body == R"({"ttl":"1500ms"})");
  CHECK(requests[6].query == "after=7");
}

TEST_CASE("a list of leases that stands still is a malformed answer, not an endless loop") {
  ScriptedServer server(
      [](const SeenRequest&) { return json_reply(200, R"({"leases":[{"id":7}],"more":true})"); });
  const auto list = connect(server).list_leases();
  REQUIRE_FALSE(list);
  CHECK(list.error().kind == ErrorKind::kMalformedAnswer);
  CHECK(server.requests().size() == 2);
}

namespace {

Reply lines_reply(const std::string& body, Reply::Action action = Reply::Action::kAnswer) {
  Reply reply = json_reply(200, body);
  reply.headers["Content-Type"] = "application/x-ndjson";
  reply.action = action;
  return reply;
}

constexpr const char* kTwoLines =
    R"({"key":"a","value":"MQ==","create_revision":1,"mod_revision":1,"version":1}
{"key_base64":"/w==","value":"","create_revision":2,"mod_revision":2,"version":1}
)";

// The keys that a stream with this reply delivers, and how it ends.
std::pair<std::vector<std::string>, Result<ListResult>> stream_of(const Reply& reply,
                                                                  const ListOptions& options = {}) {
  ScriptedServer server([&](const SeenRequest&) { return reply; });
  Client client = connect(server);
  std::vector<std::string> keys;
  auto result = client.stream(options, [&](const Item& item) {
    keys.push_back(item.key);
    return item.key != "stop";
  });
  return {keys, std::move(result)};
}

}  // namespace

TEST_CASE("a stream delivers items as they come and is whole only with its last line") {
  const std::string end = R"({"end":true,"revision":9,"count":2,"more":true})";
  auto [keys, whole] = stream_of(lines_reply(kTwoLines + end + "\n"));
  CHECK(keys == std::vector<std::string>{"a", "\xff"});
  REQUIRE(whole);
  CHECK(whole->count == 2);
  CHECK(whole->more);
  CHECK(whole->info.revision == 9);

  auto [some, cut] = stream_of(lines_reply(kTwoLines));
  CHECK(some.size() == 2);
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == "connection_lost");

  auto [half, lost] = stream_of(
      lines_reply(std::string(kTwoLines) + std::string(200, ' '), Reply::Action::kCutBody));
  REQUIRE_FALSE(lost);
  CHECK(lost.error().kind == ErrorKind::kUnreachable);
}

TEST_CASE("a stream that ends with an error, the wrong count or no line of its own fails") {
  struct Case {
    const char* line;
    ErrorKind kind;
    const char* code;
  };
  for (const Case& c : {
           Case{R"({"error":{"code":"compacted","message":"m","retryable":false}})",
                ErrorKind::kRefused, "compacted"},
           Case{R"({"error":{"code":"closed","message":"m","retryable":true}})",
                ErrorKind::kUnreachable, "closed"},
           Case{R"({"end":true,"revision":9,"count":3,"more":false})", ErrorKind::kMalformedAnswer,
                "malformed_answer"},
           Case{"nonsense", ErrorKind::kMalformedAnswer, "malformed_answer"},
       }) {
    CAPTURE(c.line);
    auto [keys, result] = stream_of(lines_reply(std::string(kTwoLines) + c.line + "\n"));
    CHECK(keys.size() == 2);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == c.kind);
    CHECK(result.error().code == c.code);
  }
}

TEST_CASE("a stream asks for lines, and a sink can end it") {
  ScriptedServer server([&](const SeenRequest&) { return lines_reply(kTwoLines); });
  Client client = connect(server);
  ListOptions options;
  options.prefix = "p";
  options.limit = 0;
  options.reverse = true;
  options.read.revision = 4;
  const auto result = client.stream(options, [](const Item&) { return false; });
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kCancelled);
  const SeenRequest request = only_request(server);
  CHECK(request.headers.at("accept") == "application/x-ndjson");
  CHECK(request.query == "revision=4&prefix=p&reverse=true");
}

TEST_CASE("keys are percent-encoded whole, so that no path rule changes them") {
  ScriptedServer server([](const SeenRequest&) { return json_reply(200, "{}"); });
  Client client = connect(server);
  REQUIRE(client.put("a/b c%\xff\n", "v"));
  REQUIRE(client.put("..", "v"));
  REQUIRE(client.put("/", "v"));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].path == "/api/v1/kv/a%2Fb%20c%25%FF%0A");
  CHECK(requests[1].path == "/api/v1/kv/%2E%2E");
  CHECK(requests[2].path == "/api/v1/kv/%2F");
}

TEST_CASE("conditions become conditional headers") {
  ScriptedServer server([](const SeenRequest&) { return json_reply(200, R"({"deleted":1})"); });
  Client client = connect(server);
  Condition revision;
  revision.mod_revision = 12;
  Condition absent;
  absent.absent = true;
  REQUIRE(client.put("k", "v", revision));
  REQUIRE(client.put("k", "v", absent));
  REQUIRE(client.del("k", revision));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].headers.at("if-match") == "\"12\"");
  CHECK(requests[0].headers.count("if-none-match") == 0);
  CHECK(requests[1].headers.at("if-none-match") == "*");
  CHECK(requests[2].method == "DELETE");
  CHECK(requests[2].headers.at("if-match") == "\"12\"");
}

TEST_CASE("get asks for JSON, or for the bytes when there is a sink") {
  ScriptedServer server([](const SeenRequest& request) {
    if (request.headers.at("accept") == "application/octet-stream") {
      return Reply{200, "raw bytes", {{"ETag", "\"9\""}}, Reply::Action::kAnswer};
    }
    return json_reply(200, R"({"key":"k","value":"AP8=","create_revision":3,"mod_revision":9,)"
                           R"("version":2})");
  });
  Client client = connect(server);
  ReadOptions stale;
  stale.consistency = Consistency::kStale;
  const auto item = client.get("k", stale);
  REQUIRE(item);
  CHECK(item->item.value == "\0\xff"s);
  CHECK(item->item.create_revision == 3);
  CHECK(item->item.mod_revision == 9);
  CHECK(item->item.version == 2);
  std::string bytes;
  const auto raw = client.get("k", {}, [&](uint64_t offset, std::string_view part) {
    CHECK(offset == bytes.size());
    bytes += part;
    return true;
  });
  REQUIRE(raw);
  CHECK(bytes == "raw bytes");
  CHECK(raw->item.mod_revision == 9);
  CHECK(server.requests()[0].query == "consistency=stale");
  CHECK(server.requests()[1].query.empty());
}

TEST_CASE("reads carry their bounds") {
  ScriptedServer server([](const SeenRequest& request) {
    const bool list = request.path == "/api/v1/kv";
    return json_reply(200, list ? R"({"items":[]})" : R"({"key":"k","value":"dg=="})");
  });
  Client client = connect(server);
  ReadOptions read;
  read.consistency = Consistency::kStale;
  read.max_staleness = std::chrono::milliseconds(1500);
  read.min_revision = 12;
  REQUIRE(client.get("k", read));
  ListOptions list;
  list.read = read;
  REQUIRE(client.list(list, [](const Item&) { return true; }));
  const std::string bounds = "consistency=stale&max_staleness=1500ms&min_revision=12";
  CHECK(server.requests()[0].query == bounds);
  CHECK(server.requests()[1].query == bounds + "&limit=1000");
}

TEST_CASE("a sink is told the size of the value before its bytes") {
  ScriptedServer server([](const SeenRequest&) {
    return Reply{200, std::string(300'000, 'v'), {}, Reply::Action::kAnswer};
  });
  Client client = connect(server);
  uint64_t size = 0;
  ReadOptions read;
  read.on_size = [&](uint64_t bytes) { size = bytes; };
  bool told_first = true;
  REQUIRE(client.get("k", read, [&](uint64_t, std::string_view) {
    told_first = told_first && size == 300'000;
    return true;
  }));
  CHECK(told_first);
}

TEST_CASE("promoting admits a member again, with the address that it has and with a vote") {
  ScriptedServer server([](const SeenRequest& request) {
    return request.method == "GET"
               ? json_reply(200, R"({"members":[{"node_id":"n1","address":"h:1","role":"voter"},
                   {"node_id":"n2","address":"h:2","role":"learner"}]})")
               : json_reply(202, R"({"node_id":"n2","address":"h:2","state":"learner"})");
  });
  Client client = connect(server);
  const auto result = client.promote_member("n2");
  REQUIRE(result);
  CHECK(result->state == "learner");
  const auto requests = server.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].method == "POST");
  CHECK(requests[1].path == "/api/v1/cluster/nodes");
  CHECK(requests[1].body == R"({"address":"h:2","node_id":"n2"})");
  const auto unknown = client.promote_member("n9");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().kind == ErrorKind::kNotFound);
  CHECK(server.requests().size() == 3);
}

TEST_CASE("list follows cursors up to the limit") {
  ScriptedServer server([](const SeenRequest& request) {
    if (request.query.find("cursor=") == std::string::npos) {
      return json_reply(200, R"({"items":[{"key":"a","value":"MQ==","mod_revision":1},)"
                             R"({"key_base64":"/w==","value":null,"value_bytes":5000000}],)"
                             R"("cursor":"c/1"})");
    }
    return json_reply(200, R"({"items":[{"key":"z","value":""}],"cursor":"c/2"})");
  });
  Client client = connect(server);
  ListOptions options;
  options.prefix = "p&q";
  options.limit = 3;
  std::vector<Item> items;
  const auto result = client.list(options, [&](const Item& item) {
    items.push_back(item);
    return true;
  });
  REQUIRE(result);
  CHECK(result->count == 3);
  CHECK(result->more);
  REQUIRE(items.size() == 3);
  CHECK(items[0].value == "1");
  CHECK(items[1].key == "\xff");
  CHECK(items[1].value_omitted);
  CHECK(items[1].value_bytes == 5000000);
  CHECK(items[2].key == "z");
  CHECK_FALSE(items[2].value_omitted);
  CHECK(server.requests()[0].query == "prefix=p%26q&limit=3");
  CHECK(server.requests()[1].query == "prefix=p%26q&limit=1&cursor=c%2F1");
}

TEST_CASE("a list without a limit ends with the last page, and a sink can end it earlier") {
  ScriptedServer server([](const SeenRequest& request) {
    const bool first = request.query.find("cursor=") == std::string::npos;
    return json_reply(
        200, first ? R"({"items":[{"key":"a"}],"cursor":"x"})" : R"({"items":[{"key":"b"}]})");
  });
  Client client = connect(server);
  ListOptions options;
  options.limit = 0;
  options.keys_only = true;
  size_t seen = 0;
  const auto all = client.list(options, [&](const Item&) { return ++seen > 0; });
  REQUIRE(all);
  CHECK(seen == 2);
  CHECK_FALSE(all->more);
  CHECK(server.requests()[0].query == "limit=1000&keys_only=true");
  const auto stopped = client.list(options, [](const Item&) { return false; });
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().kind == ErrorKind::kCancelled);
}

TEST_CASE("membership calls") {
  ScriptedServer server([](const SeenRequest& request) {
    return json_reply(200, request.method == "POST" ? R"({"node_id":"n2","state":"voter"})" : "{}");
  });
  Client client = connect(server);
  const auto added = client.add_member("n2", "127.0.0.1:7002", true);
  REQUIRE(added);
  CHECK(added->state == "voter");
  REQUIRE(client.remove_member("n 2", true));
  REQUIRE(client.remove_member("n3", false));
  REQUIRE(client.transfer_leader("n2"));
  const auto requests = server.requests();
  REQUIRE(requests.size() == 4);
  CHECK(requests[0].path == "/api/v1/cluster/nodes");
  CHECK(requests[0].headers.at("content-type") == "application/json");
  CHECK(requests[0].body == R"({"address":"127.0.0.1:7002","learner":true,"node_id":"n2"})");
  CHECK(requests[1].method == "DELETE");
  CHECK(requests[1].path == "/api/v1/cluster/nodes/n%202");
  CHECK(requests[1].query == "force=true");
  CHECK(requests[2].query.empty());
  CHECK(requests[3].method == "POST");
  CHECK(requests[3].path == "/api/v1/cluster/leader");
  CHECK(requests[3].body == R"({"node_id":"n2"})");
}

TEST_CASE("a 64 MiB value goes up and comes down in pieces over one connection") {
  std::string stored;
  ScriptedServer server([&](const SeenRequest& request) {
    if (request.method == "PUT") stored = request.body;
    return Reply{200, request.method == "PUT" ? "{}" : stored, {}, Reply::Action::kAnswer};
  });
  Client client = connect(server);
  const uint64_t bytes = uint64_t{64} << 20;
  size_t largest = 0;
  const auto byte_at = [](uint64_t offset) {
    return static_cast<char>(offset * 2654435761u >> 24);
  };
  ValueSource source;
  source.bytes = bytes;
  source.read = [&](uint64_t offset, char* buffer, size_t capacity) {
    for (size_t i = 0; i < capacity; ++i) buffer[i] = byte_at(offset + i);
    largest = std::max(largest, capacity);
    return capacity;
  };
  REQUIRE(client.put("big", source));
  CHECK(largest <= 1 << 20);
  bool same = true;
  uint64_t received = 0;
  const auto result = client.get("big", {}, [&](uint64_t offset, std::string_view part) {
    for (size_t i = 0; i < part.size(); ++i) same = same && part[i] == byte_at(offset + i);
    received += part.size();
    return part.size() <= 1 << 20;
  });
  REQUIRE(result);
  CHECK(received == bytes);
  CHECK(same);
  CHECK(server.connection_count() == 1);
}

TEST_CASE("arguments that no server needs to see are refused here") {
  ScriptedServer server([](const SeenRequest&) { return json_reply(200, "{}"); });
  Client client = connect(server);
  CHECK(client.put("", "v").error().kind == ErrorKind::kInvalidArgument);
  CHECK(client.get("").error().kind == ErrorKind::kInvalidArgument);
  CHECK(client.del("").error().kind == ErrorKind::kInvalidArgument);
  CHECK(client.remove_member("", false).error().kind == ErrorKind::kInvalidArgument);
  CHECK(server.requests().empty());
  ClientOptions options;
  options.servers = {};
  CHECK(Client::create(options).error().message == "no server is given");
  options.servers = {"https://a:1"};
  CHECK(Client::create(options).error().message ==
        "server 'https://a:1': https is not supported, use http://");
  options.servers = {"a:1"};
  options.timeout = std::chrono::milliseconds(0);
  CHECK_FALSE(Client::create(options));
}

}  // namespace
}  // namespace kvstore::client
