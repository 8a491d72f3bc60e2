// Goal: the way from nothing to a working cluster that README.md describes works as written, in any
// order, and again with the very same flags. Method: server processes started by flags alone;
// requests as curl sends them; the real kvstore-client.
#include <fstream>

#include <doctest/doctest.h>

#include "client_program.hpp"
#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

std::string add_document(const Node& node) {
  return R"({"node_id": ")" + node.name() + R"(", "address": ")" + node.raft_address() + "\"}";
}

// The README's five minutes: three nodes by flags, two POSTs, put, get, delete, list and the rest.
TEST_CASE("readme-flow") {
  Cluster cluster("readme-flow");
  for (int i = 0; i < 3; ++i) cluster.make_node();
  cluster.set_boot_flags();
  for (size_t i = 0; i < 3; ++i) cluster[i].start();
  cluster.wait_healthy(cluster[0]);

  for (size_t i = 1; i < 3; ++i) {
    const auto added =
        cluster[0].http("POST", "/api/v1/cluster/nodes", add_document(cluster[i]), kJson);
    CAPTURE(added.body);
    CHECK((added.status == 200 || added.status == 202));
    cluster.wait_until("the voter", [&] { return cluster.role_of(cluster[i].name()) == "voter"; });
  }

  const auto put = cluster[0].http("PUT", "/api/v1/kv/mykey",
                                   R"({"key": "mykey", "value": "SGVsbG8sIFdvcmxkIQ=="})", kJson);
  CAPTURE(put.body);
  REQUIRE(put.status == 200);
  for (size_t i = 0; i < 3; ++i) {
    const auto got = cluster[i].http("GET", "/api/v1/kv/mykey");
    CAPTURE(got.body);
    CHECK(got.status == 200);
    CHECK(contains(got.body, R"("key":"mykey")"));
    CHECK(contains(got.body, R"("value":"SGVsbG8sIFdvcmxkIQ==")"));
    CHECK(contains(got.body, R"("version":1)"));
    CHECK(got.headers.count("x-kvstore-revision") == 1);
    cluster.wait_until("the node's name in answers", [&] {
      const auto answer = cluster[i].http("GET", "/api/v1/kv/mykey");
      const auto name = answer.headers.find("x-kvstore-node");
      return name != answer.headers.end() && name->second == cluster[i].name();
    });
  }
  const auto list = cluster[1].http("GET", "/api/v1/kv");
  CHECK(list.status == 200);
  CHECK(contains(list.body, "mykey"));
  const auto status = cluster[2].http("GET", "/api/v1/cluster/status");
  CHECK(status.status == 200);
  CHECK(contains(status.body, "\"node3\""));
  CHECK(cluster[1].http("GET", "/api/v1/health").status == 200);
  CHECK(cluster[1].http("GET", "/health").status == 200);
  const auto metrics = cluster[2].http("GET", "/api/v1/metrics");
  CHECK(metrics.status == 200);
  CHECK(contains(metrics.body, "# TYPE"));
  CHECK(contains(metrics.body, "kvstore_"));
  const auto deleted = cluster[2].http("DELETE", "/api/v1/kv/mykey");
  CHECK(deleted.status == 200);
  CHECK(contains(deleted.body, R"("deleted":1)"));
  CHECK(cluster[0].http("GET", "/api/v1/kv/mykey").status == 404);
  CHECK(contains(cluster[0].http("DELETE", "/api/v1/kv/mykey").body, R"("deleted":0)"));

  const auto removed = cluster[0].http("DELETE", "/api/v1/cluster/nodes/node3");
  CAPTURE(removed.body);
  CHECK(removed.status == 200);
  CHECK(cluster.role_of("node3").empty());
  cluster.put("after", "removal");
  CHECK(cluster.get(cluster[1], "after") == "removal");
}

TEST_CASE("command-line-client") {
  Cluster cluster("command-line-client");
  cluster.boot(3);
  const Node& node = cluster[1];
  const auto put = run_client(node, "put mykey 'Hello, World!'");
  CHECK(put.code == 0);
  CHECK(put.text.rfind("OK revision ", 0) == 0);
  CHECK(run_client(node, "get mykey").text == "Hello, World!\n");
  CHECK(run_client(node, "get mykey --consistency stale --raw").text == "Hello, World!");
  CHECK(contains(run_client(node, "list").text, "mykey"));
  CHECK(run_client(node, "put mykey other --if-absent").code == 1);
  CHECK(run_client(node, "put mykey other --if-revision 999999").code == 1);
  CHECK(run_client(node, "get mykey").text == "Hello, World!\n");
  CHECK(contains(run_client(node, "cluster-status").text, "node3"));
  CHECK(run_client(node, "health").code == 0);
  CHECK(contains(run_client(node, "metrics").text, "kvstore_"));
  CHECK(run_client(node, "transfer-leader node3 --timeout 15s").code == 0);
  CHECK(cluster.leader().name() == "node3");
  CHECK(run_client(node, "delete mykey").code == 0);
  CHECK(run_client(node, "get mykey").code == 1);
  CHECK(run_client(node, "delete mykey").code == 1);
  const auto file = cluster.dir() / "txn.json";
  std::ofstream(file) << R"({"compares": [{"key": "t/1", "target": "exists", "value": false}],
      "then": [{"op": "put", "key": "t/1", "text": "x"}, {"op": "put", "key": "t/2", "text": "y"}],
      "else": [{"op": "get", "key": "t/1"}]})";
  CHECK(run_client(node, "txn " + file.string()).code == 0);
  const auto again = run_client(node, "txn - < " + file.string());
  CHECK(again.code == 1);
  CHECK(contains(again.text, "a compare does not hold"));
  CHECK(contains(run_client(node, "delete --prefix t/").text, "OK 2 keys"));
  CHECK(contains(run_client(node, "compact").text, "can be read"));
  cluster[1].kill();
  CHECK(run_client(node, "get mykey").code == 3);
}

TEST_CASE("load-generator") {
  Cluster cluster("load-generator");
  cluster.boot(3);
  std::string servers;
  for (const std::string& url : cluster.urls()) servers += (servers.empty() ? "" : ",") + url;
  const std::string common = " --format json --keys 50 --warmup 0";
  const auto closed = run_client(servers,
                                 "bench --preload --count 2000 --mix "
                                 "put=40,get=40,delete=10,list=10 --value-bytes 1..5000" +
                                     common);
  CAPTURE(closed.text);
  CHECK(closed.code == 0);
  CHECK(contains(closed.text, "\"error_count\": 0"));
  CHECK(contains(closed.text, "\"count\": 2000"));
  const auto open = run_client(servers,
                               "bench --preload --rate 400 --count 200 --distribution "
                               "zipfian --max-errors 0" +
                                   common);
  CAPTURE(open.text);
  CHECK(open.code == 0);
  CHECK(contains(open.text, "\"count\": 200"));
  CHECK(contains(open.text, "\"misses\": 0"));
  const auto batches = run_client(
      servers, "bench --preload --count 20 --mix put=100 --batch 30 --prefix batch/" + common);
  CAPTURE(batches.text);
  CHECK(batches.code == 0);
  CHECK(contains(batches.text, "\"count\": 20"));
  CHECK(cluster.read_all(cluster[1], "batch/").size() == 50);
  CHECK(cluster.read_all(cluster[1], "bench/").size() == 50);
}

TEST_CASE("restart-with-the-same-flags") {
  Cluster cluster("restart");
  cluster.boot(3);
  cluster.put("k", "v");
  const auto before = cluster.leader().client().status();
  REQUIRE(before);
  for (size_t i = 0; i < 3; ++i) CHECK(cluster[i].stop() == 0);
  for (size_t i = 0; i < 3; ++i) cluster[i].start();
  for (size_t i = 0; i < 3; ++i) cluster.wait_healthy(cluster[i]);
  const auto after = cluster.leader().client().status();
  REQUIRE(after);
  CHECK(after->cluster_id == before->cluster_id);
  CHECK(after->members.size() == 3);
  CHECK(after->revision == before->revision);
  for (size_t i = 0; i < 3; ++i) CHECK(cluster.get(cluster[i], "k") == "v");
}

// A node stopped the polite way hands leadership over: the others go on at once.
TEST_CASE("sigterm-hands-leadership-over") {
  Cluster cluster("sigterm");
  cluster.boot(3);
  Node& old = cluster.leader();
  Load load(cluster, "load/", 2);
  cluster.wait_until("some writes", [&] { return load.acknowledged_count() > 20; });
  CHECK(old.stop() == 0);
  const uint64_t count = load.acknowledged_count();
  cluster.wait_until("writes after it", [&] { return load.acknowledged_count() > count + 20; });
  load.stop();
  CHECK(cluster.leader().name() != old.name());
  old.start();
  cluster.wait_healthy(old);
  load.verify(cluster.read_all(old, "load/"));
}

TEST_CASE("followers-start-first") {
  Cluster cluster("followers-first");
  for (int i = 0; i < 3; ++i) cluster.make_node();
  cluster.set_boot_flags();
  cluster[1].start();
  cluster[2].start();
  // A node that waits for its admission lives, answers, and says that it is not ready.
  cluster.wait_until("node2's answer",
                     [&] { return cluster[1].http("GET", "/livez").status == 200; });
  CHECK(cluster[1].http("GET", "/health").status == 503);
  CHECK(cluster[1].http("GET", "/api/v1/kv/k").status == 503);
  cluster[0].start();
  cluster.wait_healthy(cluster[0]);
  cluster.admit(cluster[1]);
  cluster.admit(cluster[2]);
  cluster.put("k", "v");
  for (size_t i = 0; i < 3; ++i) CHECK(cluster.get(cluster[i], "k") == "v");
}

TEST_CASE("added-before-they-run") {
  Cluster cluster("added-first");
  for (int i = 0; i < 3; ++i) cluster.make_node();
  cluster.set_boot_flags();
  cluster[0].start();
  cluster.wait_healthy(cluster[0]);
  for (size_t i = 1; i < 3; ++i) {
    const auto added = cluster[0].http("POST", "/api/v1/cluster/nodes?timeout=200ms",
                                       add_document(cluster[i]), kJson);
    CAPTURE(added.body);
    CHECK(added.status == 202);
    CHECK(contains(added.body, "pending"));
    CHECK(cluster.role_of(cluster[i].name()) == "pending");
  }
  // An admission of a node that does not run yet costs no availability.
  cluster.put("k", "v");
  cluster[1].start();
  cluster[2].start();
  for (size_t i = 1; i < 3; ++i) {
    cluster.wait_until("the voter", [&] { return cluster.role_of(cluster[i].name()) == "voter"; });
    CHECK(cluster.get(cluster[i], "k") == "v");
  }
}

// `count` nodes serve, and go on without the largest minority.
void check_cluster_of(size_t count) {
  Cluster cluster("cluster-of-" + std::to_string(count));
  cluster.boot(count);
  for (size_t i = 0; i < count; ++i) {
    const std::string key = "from" + std::to_string(i);
    REQUIRE(cluster[i].client().put(key, key));
  }
  const auto status = cluster.leader().client().status();
  REQUIRE(status);
  CHECK(status->members.size() == count);
  for (size_t i = 0; i < count; ++i) {
    CHECK(cluster.read_all(cluster[i], "from").size() == count);
  }
  for (size_t i = 0; i < (count - 1) / 2; ++i) cluster.leader().kill();
  cluster.put("minority", "lost");
  for (Node* node : cluster.running()) CHECK(cluster.get(*node, "minority") == "lost");
}

TEST_CASE("five-nodes") {
  check_cluster_of(5);
}
TEST_CASE("seven-nodes") {
  check_cluster_of(7);
}

TEST_CASE("a-learner-stays-a-learner") {
  Cluster cluster("learner");
  cluster.boot(2);
  Node& node = cluster.make_node();
  cluster.set_boot_flags();
  node.start();
  const auto added = cluster.client().add_member(node.name(), node.raft_address(), true);
  REQUIRE_MESSAGE(added, added.error().message);
  cluster.wait_until("the learner", [&] { return cluster.role_of(node.name()) == "learner"; });
  cluster.put("k", "v");
  cluster.wait_caught_up({&node});
  CHECK(cluster.get(node, "k") == "v");
  CHECK(cluster.role_of(node.name()) == "learner");
  CHECK(run_client(cluster[0], "member promote " + node.name()).code == 0);
  cluster.wait_until("the voter", [&] { return cluster.role_of(node.name()) == "voter"; });
}

}  // namespace
}  // namespace kvstore::test
