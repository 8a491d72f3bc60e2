// Goal: a client reads the past of a real cluster, on every engine, after a snapshot and a restart,
// until it is compacted.
// Method: servers with different engines behind HTTP; the same old revisions are asked of each.
#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

std::string body_of(Node& node, const std::string& target) {
  const HttpAnswer answer = node.http("GET", "/api/v1" + target);
  return answer.status == 200 ? answer.body : std::to_string(answer.status) + " " + answer.body;
}

// Six revisions of four keys; the first is deleted and made again, the last is large for a while.
void write_history(Cluster& cluster) {
  cluster.put("a", "1");                                                 // 1
  cluster.put("b", "2");                                                 // 2
  cluster.put("c", "3");                                                 // 3
  CHECK(cluster.leader().http("DELETE", "/api/v1/kv/a").status == 200);  // 4
  REQUIRE(cluster.client().put("d", pattern(2'500'000, 5)));             // 5
  cluster.put("d", "6");                                                 // 6
}

void check_history(Node& node) {
  CAPTURE(node.name());
  const std::string raw = "raw=true&revision=";
  CHECK(body_of(node, "/kv/a?" + raw + "1") == "1");
  CHECK(body_of(node, "/kv/a?" + raw + "3") == "1");
  CHECK(contains(body_of(node, "/kv/a?" + raw + "4"), "404"));
  CHECK(contains(body_of(node, "/kv/b?" + raw + "1"), "404"));
  CHECK(body_of(node, "/kv/b?" + raw + "5") == "2");
  CHECK((body_of(node, "/kv/d?" + raw + "5") == pattern(2'500'000, 5)));
  CHECK(body_of(node, "/kv/d?" + raw + "6") == "6");
  CHECK(contains(body_of(node, "/kv?count_only=true&revision=3"), R"("count":3,"revision":3)"));
  CHECK(contains(body_of(node, "/kv?count_only=true&revision=5"), R"("count":3,"revision":5)"));
  const std::string backward = body_of(node, "/kv?keys_only=true&reverse=true&revision=3");
  const size_t c = backward.find(R"("key":"c")"), b = backward.find(R"("key":"b")"),
               a = backward.find(R"("key":"a")");
  CHECK(c < b);
  CHECK(b < a);
  CHECK(a != std::string::npos);
  const HttpAnswer future = node.http("GET", "/api/v1/kv/a?revision=1000");
  CHECK(future.status == 400);
  CHECK(contains(future.body, "future_revision"));
  const HttpAnswer old = node.http("GET", "/api/v1/kv/a?revision=3");
  CHECK(old.headers.at("x-kvstore-revision") == "3");
}

}  // namespace

TEST_CASE("old-revisions-on-every-engine") {
  Cluster cluster("old-revisions");
  for (const char* engine : {"leveldb", "sqlite", "leveldb"}) {
    Node& node = cluster.make_node(engine);
    node.set("raft.trailing_entries=5");
    node.set("state_sync.interval_ms=100");
  }
  cluster.boot();
  write_history(cluster);
  for (size_t i = 0; i < 3; ++i) check_history(cluster[i]);

  // The log is gone up to here: what joins has the past from the snapshot.
  for (int i = 0; i < 40; ++i) cluster.put("more", std::to_string(i));
  cluster.wait_until("the log to be compacted", [&] {
    const auto status = cluster.leader().client().status();
    return status && status->first_index > 30;
  });
  Node& late = cluster.make_node("sqlite");
  late.set_flags({"--peers", cluster[0].raft_address()});
  late.start();
  cluster.admit(late);
  cluster.wait_caught_up({&late});
  check_history(late);
  late.kill();
  late.start();
  cluster.wait_caught_up({&late});
  check_history(late);

  const HttpAnswer done = late.http("POST", "/api/v1/admin/compact", R"({"revision": 6})", kJson);
  CAPTURE(done.body);
  CHECK(done.status == 200);
  CHECK(contains(done.body, R"("compacted_revision":6)"));
  cluster.wait_caught_up({&cluster[0], &cluster[1], &cluster[2], &late});
  for (size_t i = 0; i < 4; ++i) {
    const HttpAnswer gone = cluster[i].http("GET", "/api/v1/kv/d?revision=5");
    CHECK(gone.status == 410);
    CHECK(contains(gone.body, R"("code":"compacted")"));
    CHECK(contains(gone.body, "the oldest is 6"));
    CHECK(body_of(cluster[i], "/kv/d?raw=true&revision=6") == "6");
  }
  const HttpAnswer hashes = cluster.leader().http("GET", "/api/v1/admin/hash");
  CHECK(contains(hashes.body, R"("agree":true)"));
}

}  // namespace kvstore::test
