// Goal: the client finds the server that can answer, and never sends a write without a request id
// twice that may have taken effect (those with one: request_id_test.cpp). Method: several scripted
// servers, some dead, some that drop, hang or refuse; the requests that each has seen are counted.
#include <atomic>

#include <kvstore/client/client.hpp>

#include <doctest/doctest.h>

#include "scripted_server.hpp"

namespace kvstore::client {
namespace {

using test::dead_url;
using test::error_reply;
using test::json_reply;
using test::Reply;
using test::ScriptedServer;
using test::SeenRequest;

Client connect(std::vector<std::string> servers, int timeout_ms = 10'000) {
  ClientOptions options;
  options.servers = std::move(servers);
  options.timeout = std::chrono::milliseconds(timeout_ms);
  options.request_ids = false;
  auto client = Client::create(options);
  REQUIRE(client);
  return std::move(*client);
}

Reply item_reply() {
  return json_reply(200, R"({"key":"k","value":"dg=="})");
}

Reply dropped() {
  return {200, "", {}, Reply::Action::kDrop};
}
Reply hung() {
  return {200, "", {}, Reply::Action::kHang};
}

TEST_CASE(
    "dead servers are skipped for reads and writes, and the good one is asked first next time") {
  ScriptedServer good([](const SeenRequest&) { return item_reply(); });
  Client client = connect({dead_url(), dead_url(), good.url()});
  REQUIRE(client.put("k", "v"));
  REQUIRE(client.get("k"));
  REQUIRE(client.get("k"));
  CHECK(good.requests().size() == 3);
  CHECK(good.connection_count() == 1);
}

TEST_CASE("when nobody can be reached the message names every server and why") {
  const std::string a = dead_url(), b = dead_url();
  Client client = connect({a, b + "/"});
  const auto result = client.put("k", "v");
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kUnreachable);
  CHECK(result.error().message ==
        "no server reachable: " + a + ": connection refused; " + b + ": connection refused");
}

TEST_CASE("a dropped read goes to the next server, a dropped write does not") {
  ScriptedServer bad([](const SeenRequest&) { return dropped(); });
  ScriptedServer good([](const SeenRequest&) { return item_reply(); });
  Client reader = connect({bad.url(), good.url()});
  REQUIRE(reader.get("k"));
  CHECK(good.requests().size() == 1);
  Client writer = connect({bad.url(), good.url()});
  const auto written = writer.put("k", "v");
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == ErrorKind::kUnknownOutcome);
  CHECK(written.error().code == "connection_lost");
  CHECK(written.error().message.find(bad.url()) != std::string::npos);
  CHECK(good.requests().size() == 1);
  CHECK(bad.requests().size() == 2);
}

TEST_CASE("a silent server costs a read only its share of the time, a write all of it") {
  ScriptedServer silent([](const SeenRequest&) { return hung(); });
  ScriptedServer good([](const SeenRequest&) { return item_reply(); });
  Client reader = connect({silent.url(), good.url()}, 2000);
  REQUIRE(reader.get("k"));
  Client writer = connect({silent.url(), good.url()}, 300);
  const auto written = writer.put("k", "v");
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == ErrorKind::kUnknownOutcome);
  CHECK(written.error().code == "timeout");
  CHECK(good.requests().size() == 1);
}

TEST_CASE("a read of silent servers ends as unreachable") {
  ScriptedServer silent([](const SeenRequest&) { return hung(); });
  Client client = connect({silent.url()}, 300);
  const auto result = client.get("k");
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kUnreachable);
  CHECK(result.error().message.find("timed out") != std::string::npos);
}

TEST_CASE(
    "a write is repeated only when the answer says that it was not done and may be repeated") {
  struct Case {
    Reply first;
    bool repeated;
  };
  const Case cases[] = {
      {error_reply(503, "no_leader", true, "no"), true},
      {error_reply(429, "busy", true, "no"), true},
      {error_reply(503, "timeout", true, "unknown"), false},
      {error_reply(504, "indeterminate", false, "unknown"), false},
      {error_reply(500, "io", false, "no"), false},
      {{503, "no document", {}, Reply::Action::kAnswer}, false},
      {{429, "no document", {}, Reply::Action::kAnswer}, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.first.status);
    CAPTURE(c.first.body);
    std::atomic<int> calls = 0;
    ScriptedServer server(
        [&](const SeenRequest&) { return ++calls == 1 ? c.first : item_reply(); });
    Client client = connect({server.url()});
    CHECK(static_cast<bool>(client.put("k", "v")) == c.repeated);
    CHECK(calls == (c.repeated ? 2 : 1));
  }
}

Client connect_and_repeat(std::vector<std::string> servers, int timeout_ms) {
  ClientOptions options;
  options.servers = std::move(servers);
  options.timeout = std::chrono::milliseconds(timeout_ms);
  options.request_ids = false;
  options.repeat_unknown_writes = true;
  auto client = Client::create(options);
  REQUIRE(client);
  return std::move(*client);
}

TEST_CASE("a write of unknown outcome is repeated where the options ask for it") {
  ScriptedServer good([](const SeenRequest&) { return item_reply(); });
  for (const Reply& first :
       {dropped(), hung(), error_reply(504, "indeterminate", false, "unknown")}) {
    ScriptedServer bad([&](const SeenRequest&) { return first; });
    const size_t before = good.requests().size();
    Client client = connect_and_repeat({bad.url(), good.url()}, 2000);
    CHECK(client.put("k", "v"));
    CHECK(bad.requests().size() == 1);
    CHECK(good.requests().size() == before + 1);
  }
}

TEST_CASE("a repeated write that fails stays of unknown outcome, with both reasons") {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) {
    return ++calls == 1 ? dropped() : error_reply(412, "precondition_failed", false, "no");
  });
  Client client = connect_and_repeat({server.url()}, 10'000);
  const auto result = client.put("k", "v", Condition{std::nullopt, true});
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kUnknownOutcome);
  CHECK(result.error().code == "connection_lost");
  CHECK(result.error().message.find("precondition_failed happened") != std::string::npos);
  CHECK(calls == 2);
}

TEST_CASE("the value is sent whole again when a write is repeated") {
  std::atomic<int> calls = 0;
  std::string body;
  ScriptedServer server([&](const SeenRequest& request) {
    body = request.body;
    return ++calls < 3 ? error_reply(503, "no_leader", true, "no") : item_reply();
  });
  Client client = connect({server.url()});
  const std::string value(1'000'000, 'x');
  REQUIRE(client.put("k", value));
  CHECK(calls == 3);
  CHECK(body == value);
}

TEST_CASE("without a leader for the whole timeout the error says so") {
  ScriptedServer server(
      [](const SeenRequest&) { return error_reply(503, "no_leader", true, "no"); });
  Client client = connect({server.url()}, 300);
  const auto result = client.put("k", "v");
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kNoLeader);
  CHECK(result.error().code == "no_leader");
  CHECK(result.error().message ==
        "not possible within 300 ms: " + server.url() + ": no_leader happened");
  CHECK(server.requests().size() > 1);
}

TEST_CASE(
    "an answer that names the leader is followed, and the leader is asked first from then on") {
  ScriptedServer leader([](const SeenRequest&) { return item_reply(); });
  ScriptedServer follower([&](const SeenRequest&) {
    return error_reply(421, "not_leader", true, "no", leader.address());
  });
  Client client = connect({follower.url()});
  REQUIRE(client.put("k", "v"));
  REQUIRE(client.put("k", "v"));
  CHECK(follower.requests().size() == 1);
  CHECK(leader.requests().size() == 2);
}

TEST_CASE("two servers that name each other do not keep the client for ever") {
  std::string a_address, b_address;
  ScriptedServer a(
      [&](const SeenRequest&) { return error_reply(421, "not_leader", true, "no", b_address); });
  ScriptedServer b(
      [&](const SeenRequest&) { return error_reply(421, "not_leader", true, "no", a_address); });
  a_address = a.address();
  b_address = b.address();
  Client client = connect({a.url(), b.url()}, 400);
  const auto result = client.put("k", "v");
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kNoLeader);
  CHECK(a.requests().size() < 50);
}

TEST_CASE("a leader that is dead does not stop the search") {
  const std::string dead = dead_url().substr(7);
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) {
    return ++calls == 1 ? error_reply(421, "not_leader", true, "no", dead) : item_reply();
  });
  Client client = connect({server.url()});
  REQUIRE(client.put("k", "v"));
  CHECK(calls == 2);
}

TEST_CASE("a body cut in the middle is never taken for the whole, and is read again elsewhere") {
  const std::string value(600'000, 'v');
  ScriptedServer bad([&](const SeenRequest&) {
    return Reply{200, value, {}, Reply::Action::kCutBody};
  });
  ScriptedServer good([&](const SeenRequest&) {
    return Reply{200, value, {}, Reply::Action::kAnswer};
  });
  Client client = connect({bad.url(), good.url()});
  std::string bytes;
  int starts = 0;
  const auto result = client.get("k", {}, [&](uint64_t offset, std::string_view part) {
    if (offset == 0) {
      bytes.clear();
      ++starts;
    }
    bytes += part;
    return true;
  });
  REQUIRE(result);
  CHECK(bytes == value);
  CHECK(starts == 2);
}

TEST_CASE("a refusal that comes before the body was sent whole is still read") {
  ScriptedServer server(
      [](const SeenRequest&) { return error_reply(413, "too_large", false, "no"); });
  Client client = connect({server.url()});
  ValueSource source;
  source.bytes = (uint64_t{64} << 20) + 1;
  source.read = [](uint64_t, char* buffer, size_t capacity) {
    std::fill_n(buffer, capacity, 'x');
    return capacity;
  };
  const auto result = client.put("k", source);
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kRefused);
  CHECK(result.error().code == "too_large");
}

TEST_CASE(
    "a value that cannot be read any more ends the call, and the server gets no whole request") {
  ScriptedServer server([](const SeenRequest&) { return item_reply(); });
  Client client = connect({server.url()});
  ValueSource source;
  source.bytes = 1'000'000;
  source.read = [](uint64_t offset, char* buffer, size_t capacity) -> size_t {
    if (offset > 300'000) return 0;
    std::fill_n(buffer, capacity, 'x');
    return capacity;
  };
  const auto result = client.put("k", source);
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kCancelled);
}

TEST_CASE("a connection that the server has closed in between is replaced, also for writes") {
  std::atomic<int> calls = 0;
  ScriptedServer server([&](const SeenRequest&) {
    ++calls;
    Reply reply = item_reply();
    reply.headers["Connection"] = "close";
    return reply;
  });
  Client client = connect({server.url()});
  for (int i = 0; i < 3; ++i) REQUIRE(client.put("k", "v"));
  CHECK(calls == 3);
}

}  // namespace
}  // namespace kvstore::client
