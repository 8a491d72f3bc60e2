// Goal: wrong requests, wrong nodes and wrong starts get a clear answer and have no effect.
// Method: each mistake is made against real processes; the answer is compared, and the data
// afterwards.
#include <fstream>

#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

TEST_CASE("wrong-requests") {
  Cluster cluster("wrong-requests");
  cluster.boot(1);
  cluster.put("k", "before");
  const auto before = cluster[0].client().status();
  REQUIRE(before);
  struct Case {
    const char* what;
    std::string method, target, body;
    int status;
    std::string named;  // what the message has to name
  };
  const Case cases[] = {
      {"bad base64", "PUT", "/api/v1/kv/k", R"({"key":"k","value":"%%%"})", 400, "value"},
      {"another key in the body", "PUT", "/api/v1/kv/k", R"({"key":"x","value":"QQ=="})", 400,
       "key"},
      {"broken JSON", "PUT", "/api/v1/kv/k", R"({"key":)", 400, "JSON"},
      {"no value", "PUT", "/api/v1/kv/k", R"({"key":"k"})", 400, "value"},
      {"unknown field", "PUT", "/api/v1/kv/k", R"({"key":"k","value":"QQ==","x":1})", 400, "x"},
      {"empty key", "PUT", "/api/v1/kv/", R"({"key":"","value":"QQ=="})", 400, "key"},
      {"oversize key", "PUT", "/api/v1/kv/" + std::string(4097, 'k'), "{}", 400, "4096"},
      {"bad escape", "GET", "/api/v1/kv/%zz", "", 400, "escape"},
      {"unknown route", "GET", "/api/v1/nothing", "", 404, ""},
      {"unknown root", "GET", "/", "", 404, ""},
      {"wrong method", "POST", "/api/v1/kv/k", "{}", 405, ""},
      {"unknown parameter", "GET", "/api/v1/kv/k?colour=red", "", 400, "colour"},
      {"bad limit", "GET", "/api/v1/kv?limit=none", "", 400, "limit"},
      {"bad cursor", "GET", "/api/v1/kv?cursor=none", "", 400, "cursor"},
      {"add without a name", "POST", "/api/v1/cluster/nodes", R"({"address":"a:1"})", 400,
       "node_id"},
      {"add without an address", "POST", "/api/v1/cluster/nodes", R"({"node_id":"n"})", 400,
       "address"},
      {"remove nobody", "DELETE", "/api/v1/cluster/nodes/nobody", "", 404, "nobody"},
      {"lead nobody", "POST", "/api/v1/cluster/leader", R"({"node_id":"nobody"})", 404, "nobody"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    const auto answer = cluster[0].http(c.method, c.target, c.body, kJson);
    CAPTURE(answer.body);
    CHECK(answer.status == c.status);
    CHECK(contains(answer.body, R"("error":{"code":")"));
    CHECK(contains(answer.body, R"("committed":"no")"));
    CHECK(contains(answer.body, c.named));
  }
  const auto after = cluster[0].client().status();
  REQUIRE(after);
  CHECK(after->revision == before->revision);
  CHECK(after->members.size() == 1);
  CHECK(cluster.get(cluster[0], "k") == "before");
}

TEST_CASE("a-node-of-another-cluster") {
  Cluster cluster("foreign");
  cluster.boot(2);
  Node& foreign = cluster.make_node("leveldb", "stranger");
  foreign.set_flags({"--bootstrap"});
  foreign.start();
  cluster.wait_healthy(foreign);
  REQUIRE(foreign.client().put("own", "data"));
  auto first = cluster[0].client(std::chrono::seconds(5));
  (void)first.add_member(foreign.name(), foreign.raft_address(), false);
  // The strangers' data stay apart, and the cluster goes on without it.
  for (int i = 0; i < 20; ++i) {
    const std::string key = "k" + std::to_string(i);
    REQUIRE(first.put(key, "v"));
  }
  const auto status = first.status();
  REQUIRE(status);
  for (const auto& member : status->members) {
    if (member.node_id == foreign.name()) CHECK(member.role == "pending");
  }
  client::ReadOptions stale;
  stale.consistency = client::Consistency::kStale;
  CHECK_FALSE(foreign.client().get("k0", stale));
  CHECK_FALSE(first.get("own"));
  CHECK(contains(foreign.log() + cluster[0].log() + cluster[1].log(), "cluster"));
}

TEST_CASE("a-removed-node-comes-back") {
  Cluster cluster("removed");
  cluster.boot(3);
  Node& removed = cluster[2];
  auto client = cluster[0].client(std::chrono::seconds(15));
  const auto done = client.remove_member(removed.name(), false);
  REQUIRE_MESSAGE(done, done.error().message);
  if (removed.is_running()) removed.stop();
  cluster.put("after", "removal");
  removed.start();
  // It lives to say what it is, and takes no part.
  cluster.wait_until("the removed node's answer", [&] {
    const auto health = removed.http("GET", "/health");
    return health.status == 503 && contains(health.body, "removed");
  });
  const auto status = client.status();
  REQUIRE(status);
  CHECK(status->members.size() == 2);
  client::ReadOptions stale;
  stale.consistency = client::Consistency::kStale;
  CHECK_FALSE(removed.client(std::chrono::seconds(2)).put("k", "v"));
  CHECK_FALSE(removed.client(std::chrono::seconds(2)).get("after"));
  // The name may come back with an empty directory.
  removed.stop();
  removed.wipe();
  removed.start();
  cluster.admit(removed);
  CHECK(cluster.get(removed, "after") == "removal");
}

TEST_CASE("a-wiped-node-under-its-old-name") {
  Cluster cluster("wiped");
  cluster.boot(3);
  cluster.put("k", "v");
  Node& wiped = cluster[2];
  wiped.kill();
  wiped.wipe();
  wiped.start();
  // It lost what it had acknowledged: it must not vote or serve under its old name.
  cluster.wait_until("the refusal", [&] {
    const auto health = wiped.http("GET", "/health");
    return health.status == 503 && contains(health.body, "remove");
  });
  CHECK_FALSE(wiped.client(std::chrono::seconds(2)).get("k"));
  cluster.put("k", "w");
  const auto removed = cluster[0].client(std::chrono::seconds(15)).remove_member("node3", false);
  REQUIRE_MESSAGE(removed, removed.error().message);
  cluster.admit(wiped);
  CHECK(cluster.get(wiped, "k") == "w");
}

TEST_CASE("an-address-or-name-that-is-taken") {
  Cluster cluster("taken");
  cluster.boot(2);
  auto client = cluster.client();
  const auto address = client.add_member("other", cluster[1].raft_address(), false);
  REQUIRE_FALSE(address);
  CHECK(address.error().kind == client::ErrorKind::kRefused);
  CHECK(address.error().code == "address_taken");
  const auto status = client.status();
  REQUIRE(status);
  CHECK(status->members.size() == 2);
  // Repeating an admission is safe.
  const auto again = client.add_member("node2", cluster[1].raft_address(), false);
  REQUIRE_MESSAGE(again, again.error().message);
  CHECK(again->state == "voter");
}

TEST_CASE("removal-that-loses-the-quorum") {
  Cluster cluster("quorum-loss");
  cluster.boot(3);
  Node& leader = cluster.leader();
  size_t dead = leader.name() == "node1" ? 1 : 0;
  size_t other = 3 - dead - static_cast<size_t>(leader.name().back() - '1');
  cluster[dead].kill();
  cluster.wait_until("the dead node to be noticed", [&] {
    const auto status = leader.client().status();
    if (!status) return false;
    for (const auto& member : status->members) {
      if (member.node_id == cluster[dead].name()) return !member.healthy;
    }
    return false;
  });
  const auto refused = leader.client().remove_member(cluster[other].name(), false);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == "quorum_loss");
  CHECK(refused.error().kind == client::ErrorKind::kRefused);
  const auto right =
      leader.client(std::chrono::seconds(15)).remove_member(cluster[dead].name(), false);
  REQUIRE_MESSAGE(right, right.error().message);
  cluster.put("k", "v");
}

// Starts a node that cannot start; its output has to name what is wrong.
void expect_refused_start(Node& node, const std::vector<std::string>& named) {
  const size_t begin = node.log().size();
  node.start();
  CHECK(node.wait_exit() > 0);
  const std::string said = node.log().substr(begin);
  CAPTURE(said);
  for (const auto& part : named) {
    CAPTURE(part);
    CHECK(contains(said, part));
  }
}

TEST_CASE("a-port-in-use") {
  Cluster cluster("port-in-use");
  cluster.boot(1);
  Node& second = cluster.make_node();
  second.set_flags({"--bootstrap"});
  second.replace("--http-port", std::to_string(cluster[0].http_port()));
  expect_refused_start(second, {std::to_string(cluster[0].http_port())});
  second.replace("--http-port", std::to_string(second.http_port()));
  second.replace("--bind-address", cluster[0].raft_address());
  expect_refused_start(second, {cluster[0].raft_address()});
  cluster.put("k", "v");
}

TEST_CASE("an-unusable-data-directory") {
  Cluster cluster("bad-directory");
  Node& node = cluster.make_node();
  node.set_flags({"--bootstrap"});
  std::ofstream(node.data_dir()) << "a file where the directory should be";
  expect_refused_start(node, {node.data_dir().string()});
  std::filesystem::remove(node.data_dir());
  // Two processes never share a directory.
  node.start();
  cluster.wait_healthy(node);
  Node& twin = cluster.make_node();
  twin.set_flags({"--bootstrap"});
  twin.replace("--data-dir", node.data_dir().string());
  expect_refused_start(twin, {node.data_dir().string()});
  cluster.put("k", "v");
}

TEST_CASE("a-data-directory-of-the-other-engine-or-node") {
  Cluster cluster("other-engine");
  cluster.boot(1);
  Node& node = cluster[0];
  cluster.put("k", "v");
  node.stop();
  node.set_engine("sqlite");
  expect_refused_start(node, {"storage-leveldb", "storage-sqlite"});
  node.set_engine("leveldb");
  node.replace("--node-id", "other");
  expect_refused_start(node, {"node1", "other"});
  node.replace("--node-id", node.name());
  node.start();
  cluster.wait_healthy(node);
  CHECK(cluster.get(node, "k") == "v");
}

TEST_CASE("a-store-that-is-gone") {
  Cluster cluster("store-gone");
  cluster.boot(1);
  Node& node = cluster[0];
  cluster.put("k", "v");
  node.stop();
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(node.data_dir())) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  REQUIRE(folders.size() >= 2);
  for (const auto& folder : folders) {
    CAPTURE(folder.string());
    const auto aside = cluster.dir() / "aside";
    std::filesystem::rename(folder, aside);
    expect_refused_start(node, {folder.string()});
    std::filesystem::remove_all(folder);
    std::filesystem::rename(aside, folder);
  }
  node.start();
  cluster.wait_healthy(node);
  CHECK(cluster.get(node, "k") == "v");
}

TEST_CASE("wrong-flags") {
  Cluster cluster("wrong-flags");
  struct Case {
    Flags flags;
    std::string named;
  };
  const Case cases[] = {
      {{"--frobnicate"}, "--frobnicate"},
      {{"--advertise-address", "nowhere"}, "nowhere"},
      {{"--set", "raft.heartbeat_ms=soon"}, "heartbeat_ms"},
      {{"--set", "no.such.key=1"}, "no"},
      {{"--set", "storage.plugin=storage-nothing"}, "storage-nothing"},
      {{"--set", "storage.plugin=api-http"}, "kvstore.log/1"},
      {{"--grpc-port", "9090"}, "grpc"},
      {{"--config", "/nowhere/at/all.json"}, "/nowhere/at/all.json"},
  };
  for (const Case& c : cases) {
    Node& node = cluster.make_node();
    node.set_flags(c.flags);
    CAPTURE(c.flags[0]);
    expect_refused_start(node, {c.named});
  }
}

}  // namespace
}  // namespace kvstore::test
