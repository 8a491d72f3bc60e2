// Goal: transactions, batches and deleted ranges do on real clusters what the API says, through any
// node, and a counter kept by compare-and-swap is exact through failovers. Method: server
// processes; whole answers are compared; concurrent clients resolve every unknown outcome by
// reading.
#include <thread>

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

// One client that increments the counter: the value is the number, and every increment leaves the
// token of its attempt, so that an outcome that got lost can be read.
class Incrementer {
 public:
  Incrementer(const Cluster& cluster, int number)
      : number_(number), client_(cluster.client(std::chrono::seconds(3))) {}

  // Returns when one increment is known to have been done.
  void increment() {
    const std::string token =
        "token/" + std::to_string(number_) + "/" + std::to_string(increments_++);
    while (true) {
      const auto seen = look(token);
      if (!seen) continue;
      if (seen->done) return;
      client::Txn txn;
      txn.compares = {client::Compare::mod_revision("counter", seen->mod_revision)};
      txn.then_ops = {client::Operation::put("counter", std::to_string(seen->count + 1)),
                      client::Operation::put(token, "1")};
      // Whatever becomes of a lost attempt later: either the counter is still at the revision it
      // names, then this attempt is the same one again, or it can never succeed any more.
      const auto result = client_.txn(txn);
      if (result && result->succeeded) return;
    }
  }

 private:
  struct Seen {
    uint64_t count = 0, mod_revision = 0;
    bool done = false;
  };

  std::optional<Seen> look(const std::string& token) {
    client::Txn txn;
    txn.then_ops = {client::Operation::get("counter"), client::Operation::get(token)};
    const auto result = client_.txn(txn);
    if (!result || result->results.size() != 2) return std::nullopt;
    Seen seen;
    for (const auto& item : result->results[0].items) {
      seen.count = std::stoull(item.value);
      seen.mod_revision = item.mod_revision;
    }
    seen.done = !result->results[1].items.empty();
    return seen;
  }

  const int number_;
  int increments_ = 0;
  client::Client client_;
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

TEST_CASE("a-counter-of-32-clients-is-exact-through-failovers") {
  Cluster cluster("cas-counter");
  cluster.boot(3);
  constexpr int kClients = 32, kIncrements = 16;
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      Incrementer incrementer(cluster, i);
      for (int n = 0; n < kIncrements; ++n) {
        incrementer.increment();
        ++done;
      }
    });
  }
  constexpr int kTotal = kClients * kIncrements;
  for (const int at : {kTotal / 4, kTotal / 2}) {
    cluster.wait_until("increments", [&] { return done >= at; });
    Node& leader = cluster.leader();
    leader.kill();
    CHECK(done < kTotal);
    cluster.wait_for_leader();
    leader.start();
    cluster.wait_healthy(leader);
  }
  for (auto& thread : threads) thread.join();
  CHECK(cluster.get(cluster[0], "counter") == std::to_string(kTotal));
  CHECK(cluster.read_all(cluster[1], "token/").size() == kTotal);
}

}  // namespace kvstore::test
