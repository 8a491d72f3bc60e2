// Goal: while a member's disk is nearly full, what grows is refused before it reaches the log, and
// all else goes on (reliability.md, full disk).
// Method: simulated nodes are told how much is free.
#include "sim_testing.hpp"

namespace kvstore::sim {
namespace {

constexpr uint64_t kReserve = 256 << 20;

// As its disk monitor reports it.
void set_free(SimCluster& cluster, size_t node, uint64_t bytes) {
  cluster[node].disk_faults.free_bytes = bytes;
  cluster.run_for(100 * kMs);
}

kv::Txn removal(const std::string& key) {
  kv::Txn txn;
  kv::Op op;
  op.kind = kv::Op::Kind::kDelete;
  op.range.key = key;
  txn.then_ops.push_back(op);
  return txn;
}

TEST_CASE("the leader's full disk refuses puts, from any node, until there is space") {
  SimCluster cluster(41);
  REQUIRE(cluster.form(3));
  const size_t leader = *cluster.leader();
  const size_t follower = *cluster.some_follower();
  REQUIRE(cluster.wait(cluster.put(leader, "k", "v")) == Code::kOk);
  set_free(cluster, leader, kReserve - 1);
  const raft::Index last = cluster[leader].raft().log().last().index;
  for (size_t i : {leader, follower}) {
    WritePtr refused = cluster.put(i, "k", "w");
    CHECK(cluster.wait(refused) == Code::kNoSpace);
    CHECK(refused->outcome->committed == node::Committed::kNo);
    CHECK(refused->outcome->message.find(cluster[leader].name()) != std::string::npos);
  }
  kv::UploadPart part;
  part.upload_id = 9;
  part.bytes = std::string(kv::kPartBytes, 'x');
  CHECK(cluster.wait(cluster.propose(follower, part)) == Code::kNoSpace);
  CHECK(cluster[leader].raft().log().last().index == last);

  ReadCallPtr read = cluster.get(follower, "k");
  CHECK(cluster.wait(read) == Code::kOk);
  CHECK(read->value == "v");
  CHECK(cluster.wait(cluster.propose(follower, removal("k"))) == Code::kOk);

  set_free(cluster, leader, kReserve + 1);  // not enough yet
  CHECK(cluster.wait(cluster.put(leader, "k", "w")) == Code::kNoSpace);
  set_free(cluster, leader, kReserve + kReserve / 8);
  CHECK(cluster.wait(cluster.put(leader, "k", "w")) == Code::kOk);
}

TEST_CASE("a follower's full disk refuses puts while the follower is heard") {
  SimCluster cluster(42);
  REQUIRE(cluster.form(3));
  const size_t leader = *cluster.leader();
  const size_t follower = *cluster.some_follower();
  set_free(cluster, follower, 1);
  cluster.run_for(kSecond);
  WritePtr refused = cluster.put(leader, "k", "w");
  CHECK(cluster.wait(refused) == Code::kNoSpace);
  CHECK(refused->outcome->message.find(cluster[follower].name()) != std::string::npos);
  ControlCallPtr health = cluster.control(follower, "health", "{}");
  CHECK(cluster.wait(health) == Code::kOk);
  CHECK(health->outcome->json.find("\"degraded\"") != std::string::npos);
  CHECK(health->outcome->json.find("disk_reserve_bytes") != std::string::npos);
  // One that is down says nothing about its disk any more.
  cluster.crash(follower);
  cluster.run_for(5 * kSecond);
  CHECK(cluster.wait(cluster.put(leader, "k", "w")) == Code::kOk);
}

}  // namespace
}  // namespace kvstore::sim
