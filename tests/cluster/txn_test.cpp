// Goal: transactions, batches and deleted ranges do on real clusters what the API says, through any
// node.
// Method: server processes; whole answers are compared.
#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

Node& follower_of(Cluster& cluster) {
  Node& leader = cluster.leader();
  for (size_t i = 0; i < cluster.size(); ++i) {
    if (cluster[i].name() != leader.name()) return cluster[i];
  }
  return leader;
}

// Without its line end.
std::string line_of(const std::string& body) {
  return body.substr(0, body.find('\n'));
}

struct Golden {
  const char *method, *target, *body;
  int status;
  const char* answer;
};

// In this order on an empty store; what a client sees does not depend on the node.
const Golden kGolden[] = {
    {"POST", "/txn",
     R"({"compares": [{"key": "lock", "target": "exists", "value": false}],
         "then": [{"op": "put", "key": "lock", "text": "me"},
                  {"op": "put", "key": "a", "value": "MQ==", "prev": true}],
         "else": [{"op": "get", "key": "lock"}]})",
     200,
     R"({"succeeded":true,"revision":1,"results":[{"op":"put","mod_revision":1},)"
     R"({"op":"put","mod_revision":1,"prev":null}]})"},
    {"POST", "/txn",
     R"({"compares": [{"key": "lock", "target": "exists", "value": false}],
         "then": [{"op": "put", "key": "lock", "text": "other"}],
         "else": [{"op": "get", "key": "lock"}]})",
     200,
     R"({"succeeded":false,"revision":1,"results":[{"op":"get","item":{"key":"lock",)"
     R"("value":"bWU=","create_revision":1,"mod_revision":1,"version":1}}]})"},
    {"POST", "/batch",
     R"({"operations": [{"op": "put", "key": "a", "text": "2", "if_mod_revision": 1},
         {"op": "get", "key": "a"}, {"op": "put", "key": "lock", "text": "x", "if_absent": true},
         {"op": "delete", "key": "none"}]})",
     207,
     R"({"results":[{"status":200,"op":"put","mod_revision":2},)"
     R"({"status":200,"op":"get","item":{"key":"a","value":"Mg==","create_revision":1,)"
     R"("mod_revision":2,"version":2}},)"
     R"({"status":412,"op":"put","error":{"code":"precondition_failed",)"
     R"("message":"the key is at mod_revision 1","retryable":false,"committed":"no"},)"
     R"("current_revision":1},{"status":200,"op":"delete","deleted":0}],)"
     R"("succeeded":3,"failed":1,"revision":2})"},
    {"POST", "/txn",
     R"({"compares": [{"key": "a", "target": "value", "text": "2"},
                      {"key": "a", "target": "version", "op": ">", "value": 1},
                      {"prefix": "b", "target": "exists", "value": false}],
         "then": [{"op": "put", "key": "b/1", "text": "x"}, {"op": "put", "key": "b/2", "text": "y"},
                  {"op": "range", "prefix": "b/", "limit": 1},
                  {"op": "delete", "key": "lock", "prev": true}]})",
     200,
     R"({"succeeded":true,"revision":3,"results":[{"op":"put","mod_revision":3},)"
     R"({"op":"put","mod_revision":3},{"op":"range","items":[{"key":"b/1","value":"eA==",)"
     R"("create_revision":3,"mod_revision":3,"version":1}],"count":1,"more":true},)"
     R"({"op":"delete","deleted":1,"prev":{"key":"lock","value":"bWU=","create_revision":1,)"
     R"("mod_revision":1,"version":1}}]})"},
    {"DELETE", "/kv?prefix=b%2F", "", 200,
     R"({"deleted":2,"more":false,"transactions":1,"revision":4})"},
    {"DELETE", "/kv?prefix=b%2F&limit=5", "", 200,
     R"({"deleted":0,"more":false,"transactions":0,"revision":4})"},
    {"DELETE", "/kv?prefix=", "", 400, nullptr},
    {"POST", "/txn", R"({"then": [{"op": "put", "key": "a", "value": 5}]})", 400,
     R"({"error":{"code":"invalid","message":"then[0].value: must be a string","retryable":false,)"
     R"("committed":"no"}})"},
    {"DELETE", "/kv?all=true&atomic=true", "", 200,
     R"({"deleted":1,"more":false,"transactions":1,"revision":5})"},
};

}  // namespace

TEST_CASE("transactions-through-a-follower") {
  Cluster cluster("transactions");
  cluster.boot(3);
  Node& follower = follower_of(cluster);
  for (const Golden& g : kGolden) {
    const auto answer = follower.http(g.method, std::string("/api/v1") + g.target, g.body, kJson);
    CAPTURE(g.target);
    CAPTURE(answer.body);
    CHECK(answer.status == g.status);
    if (g.answer != nullptr) CHECK(line_of(answer.body) == g.answer);
    if (g.status == 200) {
      CHECK(contains(answer.body, "\"revision\":" + answer.headers.at("x-kvstore-revision")));
    }
  }
  // The library through each node.
  for (size_t i = 0; i < 3; ++i) {
    auto client = cluster[i].client();
    const auto batch =
        client.batch({client::Operation::put("k\xff", "1"), client::Operation::get("k\xff"),
                      client::Operation::get("none")});
    REQUIRE_MESSAGE(batch, batch.error().message);
    CHECK(batch->failed == 1);
    CHECK(batch->results[1].items.at(0).value == "1");
    CHECK(batch->results[2].error->kind == client::ErrorKind::kNotFound);
    const auto deleted = client.delete_range(client::KeyRange::of_prefix("k"));
    REQUIRE_MESSAGE(deleted, deleted.error().message);
    CHECK(deleted->deleted == 1);
  }
  const HttpAnswer hashes = cluster.leader().http("GET", "/api/v1/admin/hash");
  CHECK(contains(hashes.body, R"("agree":true)"));
}

TEST_CASE("a-range-of-more-than-one-transaction") {
  Cluster cluster("large-range");
  cluster.boot(1);
  auto client = cluster.client(std::chrono::seconds(60));
  for (int piece = 0; piece < 11; ++piece) {
    std::vector<client::Operation> puts;
    for (int i = 0; i < 1000; ++i) {
      puts.push_back(client::Operation::put("n/" + std::to_string(piece * 1000 + i), "v"));
    }
    const auto done = client.batch(puts);
    REQUIRE_MESSAGE(done, done.error().message);
    CHECK(done->failed == 0);
  }
  // Too many for one transaction.
  HttpAnswer answer = cluster[0].http("DELETE", "/api/v1/kv?prefix=n&atomic=true");
  CHECK(answer.status == 400);
  CHECK(contains(answer.body, "10000 keys"));
  answer = cluster[0].http("DELETE", "/api/v1/kv?prefix=n%2F1");
  CHECK(contains(answer.body, R"("deleted":2111,"more":false,"transactions":1)"));
  answer = cluster[0].http("DELETE", "/api/v1/kv?prefix=n");
  CHECK(contains(answer.body, R"("deleted":8889,"more":false,"transactions":1)"));
  // Too many bytes.
  const std::string value = pattern(1 << 20, 3);
  for (int i = 0; i < 66; ++i) REQUIRE(client.put("big/" + std::to_string(i), value));
  answer = cluster[0].http("DELETE", "/api/v1/kv?prefix=big&atomic=true");
  CHECK(answer.status == 400);
  CHECK(contains(answer.body, "bytes"));
  answer = cluster[0].http("DELETE", "/api/v1/kv?all=true");
  CHECK(contains(answer.body, R"("deleted":66,"more":false)"));
}

}  // namespace kvstore::test
