// Goal: nothing acknowledged is ever lost, and service comes back by itself.
// Method: writers run while processes are killed with SIGKILL or stopped with SIGSTOP; afterwards
// everything that was acknowledged is read through every node.
#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

void wait_for_writes(Cluster& cluster, const Load& load, uint64_t more) {
  const uint64_t target = load.acknowledged_count() + more;
  cluster.wait_until("writes", [&] { return load.acknowledged_count() >= target; });
}

void verify_on_all(Cluster& cluster, const Load& load, const std::string& prefix) {
  for (size_t i = 0; i < cluster.size(); ++i) {
    CAPTURE(cluster[i].name());
    load.verify(cluster.read_all(cluster[i], prefix));
  }
}

void kill_leader_under_load(const std::vector<std::string>& engines) {
  Cluster cluster("kill-leader");
  for (const auto& engine : engines) cluster.make_node(engine);
  cluster.boot();
  Load load(cluster, "load/", 4);
  for (int round = 0; round < 3; ++round) {
    wait_for_writes(cluster, load, 100);
    Node& old = cluster.leader();
    old.kill();
    wait_for_writes(cluster, load, 100);
    CHECK(cluster.leader().name() != old.name());
    old.start();
    cluster.wait_caught_up({&old});
  }
  load.stop();
  verify_on_all(cluster, load, "load/");
}

TEST_CASE("kill-the-leader-under-load-leveldb") {
  kill_leader_under_load({"leveldb", "leveldb", "leveldb"});
}
TEST_CASE("kill-the-leader-under-load-sqlite") {
  kill_leader_under_load({"sqlite", "sqlite", "sqlite"});
}
TEST_CASE("kill-the-leader-under-load-mixed") {
  kill_leader_under_load({"leveldb", "sqlite", "leveldb"});
}

void kill_all(const std::string& engine) {
  Cluster cluster("kill-all-" + engine);
  cluster.boot(3, engine);
  Load load(cluster, "load/", 4);
  for (int round = 0; round < 3; ++round) {
    wait_for_writes(cluster, load, 150);
    for (size_t i = 0; i < 3; ++i) cluster[i].kill();
    for (size_t i = 0; i < 3; ++i) cluster[i].start();
  }
  wait_for_writes(cluster, load, 50);
  load.stop();
  verify_on_all(cluster, load, "load/");
}

TEST_CASE("kill-all-at-once-leveldb") {
  kill_all("leveldb");
}
TEST_CASE("kill-all-at-once-sqlite") {
  kill_all("sqlite");
}

// The frozen leader still believes that it leads when it wakes up: it must neither lose what others
// were promised nor answer a read from the past.
TEST_CASE("pause-the-leader") {
  Cluster cluster("pause-leader");
  cluster.boot(3);
  cluster.put("k", "old");
  Node& old = cluster.leader();
  old.pause();
  Node* next = nullptr;
  cluster.wait_until("another leader", [&] {
    for (size_t i = 0; i < 3; ++i) {
      if (&cluster[i] == &old) continue;
      const auto status = cluster[i].client(std::chrono::seconds(1)).status();
      if (status && status->leader == cluster[i].name()) next = &cluster[i];
    }
    return next != nullptr;
  });
  const auto written = next->client(std::chrono::seconds(15)).put("k", "new");
  REQUIRE_MESSAGE(written, written.error().message);
  old.resume();
  const auto read = old.client(std::chrono::seconds(15)).get("k");
  REQUIRE_MESSAGE(read, read.error().message);
  CHECK(read->item.value == "new");
  cluster.wait_caught_up({&old});
}

TEST_CASE("a-minority-neither-writes-nor-reads") {
  Cluster cluster("minority");
  cluster.boot(3);
  cluster.put("k", "v");
  Node& last = cluster.leader();
  for (size_t i = 0; i < 3; ++i) {
    if (&cluster[i] != &last) cluster[i].kill();
  }
  auto client = last.client(std::chrono::seconds(3));
  const auto written = client.put("k", "lost?");
  REQUIRE_FALSE(written);
  const bool honest = written.error().kind == client::ErrorKind::kNoLeader ||
                      written.error().kind == client::ErrorKind::kUnknownOutcome;
  CAPTURE(written.error().message);
  CHECK(honest);
  CHECK_FALSE(client.get("k"));
  cluster.wait_until("the sick health", [&] {
    const auto health = last.client(std::chrono::seconds(1)).health();
    return health && !health->ok;
  });
  client::ReadOptions stale;
  stale.consistency = client::Consistency::kStale;
  CHECK(client.get("k", stale));
  for (size_t i = 0; i < 3; ++i) {
    if (&cluster[i] != &last) cluster[i].start();
  }
  cluster.put("k", "again");
  for (size_t i = 0; i < 3; ++i) CHECK(cluster.get(cluster[i], "k") == "again");
}

// A node that missed more than the log keeps gets a snapshot while writers go on.
void catch_up_by_snapshot(const std::string& engine, const std::string& late_engine) {
  Cluster cluster("snapshot-" + engine + "-" + late_engine);
  for (size_t i = 0; i < 3; ++i) {
    Node& node = cluster.make_node(i == 2 ? late_engine : engine);
    node.set("raft.trailing_entries=20");
    node.set("state_sync.interval_ms=100");
  }
  cluster.boot();
  cluster.put("early", "value");
  Node& late = cluster[2];
  const auto before = late.client().status();
  REQUIRE(before);
  late.kill();

  cluster.put("large", pattern(3'000'000, 7));
  Load load(cluster, "load/", 4, 1000);
  cluster.wait_until("the log to be compacted beyond what the late node has", [&] {
    const auto status = cluster.leader().client().status();
    return status && status->first_index > before->last_index + 1;
  });
  late.start();
  cluster.wait_caught_up({&late});
  const auto after = late.client().status();
  REQUIRE(after);
  CHECK(after->first_index > before->last_index + 1);
  wait_for_writes(cluster, load, 50);
  load.stop();
  verify_on_all(cluster, load, "load/");
  CHECK(cluster.get(late, "early") == "value");
  CHECK(cluster.get(late, "large") == pattern(3'000'000, 7));
  // What was installed is durable.
  late.kill();
  late.start();
  cluster.wait_caught_up({&late});
  load.verify(cluster.read_all(late, "load/"));
}

TEST_CASE("snapshot-leveldb-to-leveldb") {
  catch_up_by_snapshot("leveldb", "leveldb");
}
TEST_CASE("snapshot-leveldb-to-sqlite") {
  catch_up_by_snapshot("leveldb", "sqlite");
}
TEST_CASE("snapshot-sqlite-to-leveldb") {
  catch_up_by_snapshot("sqlite", "leveldb");
}

// Moves a live cluster to the other engine, one node at a time, under load.
TEST_CASE("move-from-leveldb-to-sqlite-node-by-node") {
  Cluster cluster("move");
  cluster.boot(3);
  cluster.put("large", pattern(2'500'000, 3));
  Load load(cluster, "load/", 2);
  wait_for_writes(cluster, load, 100);
  std::string addresses;
  for (size_t i = 0; i < 3; ++i) addresses += (i ? "," : "") + cluster[i].raft_address();
  for (size_t i = 0; i < 3; ++i) {
    Node& node = cluster[i];
    CAPTURE(node.name());
    auto all = cluster.client(std::chrono::seconds(20));
    const auto removed = all.remove_member(node.name(), false);
    REQUIRE_MESSAGE(removed, removed.error().message);
    node.stop();
    node.wipe();
    node.set_engine("sqlite");
    node.set_flags({"--peers", addresses});
    node.start();
    cluster.admit(node);
    wait_for_writes(cluster, load, 50);
  }
  load.stop();
  verify_on_all(cluster, load, "load/");
  for (size_t i = 0; i < 3; ++i) {
    CHECK(cluster.get(cluster[i], "large") == pattern(2'500'000, 3));
    const auto status = cluster[i].http("GET", "/api/v1/cluster/status");
    CHECK(status.body.find("storage-sqlite") != std::string::npos);
    CHECK(status.body.find("storage-leveldb") == std::string::npos);
  }
}

}  // namespace
}  // namespace kvstore::test
