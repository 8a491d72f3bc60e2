// Goal: answers become results or the right kind of error, and nonsense is refused with a clear
// message. Method: one scripted answer per case.
#include <kvstore/client/client.hpp>

#include <doctest/doctest.h>

#include "scripted_server.hpp"

namespace kvstore::client {
namespace {

using test::error_reply;
using test::json_reply;
using test::Reply;
using test::ScriptedServer;
using test::SeenRequest;

// A server with one answer for everything, and a client that gives up soon.
struct Fixture {
  explicit Fixture(Reply reply)
      : server([reply](const SeenRequest&) { return reply; }), client(make(server)) {}

  static Client make(const ScriptedServer& server) {
    ClientOptions options;
    options.servers = {server.url()};
    options.timeout = std::chrono::milliseconds(300);
    auto client = Client::create(options);
    REQUIRE(client);
    return std::move(*client);
  }

  ScriptedServer server;
  Client client;
};

Error put_error(const Reply& reply) {
  Fixture f(reply);
  const auto result = f.client.put("k", "v");
  REQUIRE_FALSE(result);
  return result.error();
}

Error get_error(const Reply& reply) {
  Fixture f(reply);
  const auto result = f.client.get("k");
  REQUIRE_FALSE(result);
  return result.error();
}

TEST_CASE("error documents keep their code, message and status") {
  const Error error = put_error(error_reply(413, "too_large", false, "no"));
  CHECK(error.kind == ErrorKind::kRefused);
  CHECK(error.code == "too_large");
  CHECK(error.message == "too_large happened");
  CHECK(error.http_status == 413);
}

TEST_CASE("kinds of errors") {
  CHECK(get_error(error_reply(404, "not_found", false, "no")).kind == ErrorKind::kNotFound);
  CHECK(get_error(error_reply(404, "no_such_route", false, "no")).kind == ErrorKind::kRefused);
  CHECK(get_error(error_reply(503, "no_leader", true, "no")).kind == ErrorKind::kNoLeader);
  CHECK(put_error(error_reply(503, "no_leader", true, "no")).kind == ErrorKind::kNoLeader);
  CHECK(put_error(error_reply(504, "indeterminate", false, "unknown")).kind ==
        ErrorKind::kUnknownOutcome);
  CHECK(put_error(error_reply(507, "no_space", false, "no")).kind == ErrorKind::kRefused);
}

TEST_CASE("a failed condition carries the current revision") {
  Reply reply = error_reply(412, "precondition_failed", false, "no");
  reply.headers["ETag"] = "\"41\"";
  const Error error = put_error(reply);
  CHECK(error.kind == ErrorKind::kConditionFailed);
  CHECK(error.current_revision == 41);
}

TEST_CASE("an answer of something else than kvstore") {
  const Reply page{502, "<html>bad gateway</html>", {}, Reply::Action::kAnswer};
  CHECK(put_error(page).kind == ErrorKind::kUnknownOutcome);
  CHECK(get_error(page).kind == ErrorKind::kNoLeader);
  const Reply missing{404, "nothing here", {}, Reply::Action::kAnswer};
  CHECK(put_error(missing).kind == ErrorKind::kRefused);
  CHECK(put_error(missing).code == "http_404");
  const Error nonsense = get_error({200, "hello", {}, Reply::Action::kAnswer});
  CHECK(nonsense.kind == ErrorKind::kMalformedAnswer);
  CHECK(nonsense.message.find("is it a kvstore server?") != std::string::npos);
}

TEST_CASE("malformed documents never become values") {
  for (const char* body : {R"({"value":"AAAA"})", R"({"key":"k","value":"A"})", R"([1])",
                           R"({"key":5,"value":"AAAA"})", R"({"key_base64":"*","value":""})",
                           R"({"key":"k","value":"AB=="})"}) {
    CAPTURE(body);
    CHECK(get_error(json_reply(200, body)).kind == ErrorKind::kMalformedAnswer);
  }
  for (const char* body : {R"({})", R"({"items":5})", R"({"items":[5]})"}) {
    CAPTURE(body);
    Fixture f(json_reply(200, body));
    const auto result = f.client.list({}, [](const Item&) { return true; });
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::kMalformedAnswer);
  }
}

TEST_CASE("a list whose cursor stands still ends instead of going on for ever") {
  Fixture f(json_reply(200, R"({"items":[{"key":"a"}],"cursor":"x"})"));
  ListOptions options;
  options.limit = 0;
  const auto result = f.client.list(options, [](const Item&) { return true; });
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kMalformedAnswer);
  CHECK(f.server.requests().size() == 2);
}

TEST_CASE("cluster status") {
  Fixture f(json_reply(200, R"({
    "cluster_name":"demo","cluster_id":"c1","node":{"node_id":"n2","role":"follower"},
    "leader":{"node_id":"n1","id":5,"address":"h:1","api_address":"h:2"},"term":3,
    "commit_index":10,"applied_index":9,"first_index":1,"last_index":11,"revision":4,
    "members":[{"node_id":"n1","address":"h:1","role":"voter","is_leader":true,"match_index":11,
                "lag":0,"healthy":true,"state":"replicate"},
               {"node_id":"n3","address":"h:3","role":"pending"}],"source":"leader"})"));
  const auto status = f.client.status();
  REQUIRE(status);
  CHECK(status->cluster_id == "c1");
  CHECK(status->node_id == "n2");
  CHECK(status->leader == "n1");
  CHECK(status->leader_api_address == "h:2");
  CHECK(status->applied_index == 9);
  REQUIRE(status->members.size() == 2);
  CHECK(status->members[0].is_leader);
  CHECK(status->members[0].match_index == 11);
  CHECK(status->members[1].role == "pending");
  CHECK_FALSE(status->members[1].healthy);
}

TEST_CASE("an unhealthy node answers; it is no error and nothing is repeated") {
  Fixture f(json_reply(503, R"({"status":"unavailable","node_id":"n1","role":"candidate",
    "checks":{"leader":{"ok":false,"message":"none known"},"disk":{"ok":true,"message":""}}})"));
  const auto health = f.client.health();
  REQUIRE(health);
  CHECK_FALSE(health->ok);
  REQUIRE(health->checks.size() == 2);
  CHECK(health->checks[1].name == "leader");
  CHECK(health->checks[1].message == "none known");
  CHECK(f.server.requests().size() == 1);
}

}  // namespace
}  // namespace kvstore::client
