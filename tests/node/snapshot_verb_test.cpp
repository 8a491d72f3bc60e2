// Goal: admin.snapshot makes the asked node's state durable and its log short, now, whoever leads.
// Method: simulated clusters that would neither sync nor compact for a long time by themselves.
#include <nlohmann/json.hpp>

#include "sim_testing.hpp"

namespace kvstore::sim {
namespace {

// Syncs come by themselves only after the test.
void never_sync(SimCluster& cluster, size_t count) {
  while (cluster.size() < count) cluster.add_node();
  for (size_t i = 0; i < count; ++i) {
    cluster[i].config.options.sync_interval_ms = 3'600'000;
  }
}

void write_some(SimCluster& cluster, int count) {
  for (int i = 0; i < count; ++i) {
    REQUIRE(cluster.wait(cluster.put(0, "k" + std::to_string(i), "v")) == Code::kOk);
  }
}

nlohmann::json take(SimCluster& cluster, size_t node) {
  ControlCallPtr call = cluster.control(node, "admin.snapshot", "{}");
  REQUIRE(cluster.wait(call) == Code::kOk);
  return nlohmann::json::parse(call->outcome->json);
}

TEST_CASE("every node takes its own snapshot, and may take it again") {
  SimCluster cluster(61);
  never_sync(cluster, 3);
  REQUIRE(cluster.form(3));
  write_some(cluster, 60);
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    CHECK(cluster[i].raft().log().base().index == raft::Index{0});
    const nlohmann::json first = take(cluster, i);
    CHECK(first["revision"] == 60);
    CHECK(first["index"].get<uint64_t>() >= 60);
    CHECK(first["term"].get<uint64_t>() >= 1);
    CHECK(first["first_index"].get<uint64_t>() > 60);
    CHECK(cluster[i].raft().log().base().index.value + 1 == first["first_index"]);
    const nlohmann::json again = take(cluster, i);
    CHECK(again["index"].get<uint64_t>() >= first["index"].get<uint64_t>());
  }
  // What was given up is not needed: for what comes, or for a start.
  const size_t follower = *cluster.some_follower();
  cluster.crash(follower);
  write_some(cluster, 10);
  cluster[follower].start();
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster[follower].snapshots_received() == 0);
  CHECK(cluster.states_agree());
}

TEST_CASE("what a peer is about to need stays in the log") {
  SimCluster cluster(62);
  never_sync(cluster, 3);
  REQUIRE(cluster.form(3));
  const size_t leader = *cluster.leader();
  const size_t follower = *cluster.some_follower();
  write_some(cluster, 20);
  cluster.crash(follower);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(cluster.wait(cluster.put(leader, "more" + std::to_string(i), "v")) == Code::kOk);
  }
  // So short after its end it still counts as one that takes part.
  const nlohmann::json taken = take(cluster, leader);
  CHECK(taken["first_index"].get<uint64_t>() <= taken["index"].get<uint64_t>());
  cluster[follower].start();
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster[follower].snapshots_received() == 0);
}

TEST_CASE("a wrong document and a node without a state are told") {
  SimCluster cluster(63);
  never_sync(cluster, 1);
  cluster[0].start();
  ControlCallPtr call = cluster.control(0, "admin.snapshot", "{}");
  CHECK(cluster.wait(call) == Code::kUnreachable);
  call = cluster.control(0, "admin.snapshot", "[]");
  CHECK(cluster.wait(call) == Code::kInvalid);
}

}  // namespace
}  // namespace kvstore::sim
