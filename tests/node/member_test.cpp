// Goal: nodes come, lag, leave and are refused as the membership rules say.
// Method: simulated clusters; refusals are read from what the refused node reports.
#include "sim_testing.hpp"

namespace kvstore::sim {
namespace {

void compact_early(SimCluster& cluster, size_t count) {
  while (cluster.size() < count) cluster.add_node();
  for (size_t i = 0; i < count; ++i) {
    cluster[i].config.options.trailing_entries = 10;
    cluster[i].config.options.sync_interval_ms = 200;
  }
}

std::string refusal_of(SimCluster& cluster, size_t node) {
  ControlCallPtr health = cluster.control(node, "health", "{}");
  CHECK(cluster.wait(health) == Code::kUnreachable);
  return health->outcome->message;
}

TEST_CASE("a node behind the compacted log gets a snapshot while writes go on") {
  SimCluster cluster(21);
  compact_early(cluster, 3);
  REQUIRE(cluster.form(3));
  size_t behind = *cluster.some_follower();
  cluster.crash(behind);
  size_t writer = behind == 0 ? 1 : 0;
  for (int i = 0; i < 200; ++i) {
    REQUIRE(cluster.wait(cluster.put(writer, "k" + std::to_string(i % 50), std::to_string(i))) ==
            Code::kOk);
  }
  REQUIRE(cluster.run_until(
      [&] { return cluster[*cluster.leader()].raft().log().base().index > raft::Index{100}; }));
  cluster[behind].start();
  std::vector<WritePtr> writes;
  for (int i = 0; i < 100; ++i) {
    writes.push_back(cluster.put(writer, "during" + std::to_string(i), "v"));
    cluster.run_for(5 * kMs);
  }
  for (const WritePtr& write : writes) CHECK(cluster.wait(write) == Code::kOk);
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster[behind].snapshots_received() >= 1);
  CHECK(cluster.states_agree());
  check_everywhere(cluster, "k49", "199");
  check_everywhere(cluster, "during99", "v");
}

TEST_CASE("one snapshot is enough, however long it takes and however much is written meanwhile") {
  SimCluster cluster(26);
  compact_early(cluster, 3);
  for (size_t i = 0; i < 3; ++i) {
    cluster[i].config.options.trailing_bytes = 1'000;
    cluster[i].config.options.raft.append_bytes_max = 600;
    cluster[i].config.options.raft.inflight_messages_max = 1;
  }
  REQUIRE(cluster.form(3));
  const size_t behind = *cluster.some_follower();
  const size_t writer = behind == 0 ? 1 : 0;
  cluster.crash(behind);
  const std::string value(200, 'v');
  auto write = [&](uint64_t writes) {
    for (uint64_t i = 0; i < writes; ++i) {
      REQUIRE(cluster.wait(cluster.put(writer, "k" + std::to_string(i % 40), value)) == Code::kOk);
    }
  };
  write(200);
  cluster.network.faults.stream_us_per_kib = 200 * kMs;
  cluster[behind].start();
  write(1500);
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster[behind].snapshots_received() == 1);
  CHECK(cluster.states_agree());
  // What was kept for it goes when it has caught up.
  write(20);
  cluster.run_for(kSecond);
  const raft::RaftLog& kept = cluster[*cluster.leader()].raft().log();
  CHECK(kept.last().index.value - kept.base().index.value < 50);
}

// The log that the leader keeps for a snapshot's receiver is kept for a bounded time only.
TEST_CASE("a receiver slower than the log grows gets another snapshot, until it can follow") {
  SimCluster cluster(25);
  compact_early(cluster, 3);
  for (size_t i = 0; i < 3; ++i) {
    cluster[i].config.options.snapshot_hold_ms = 200;
    cluster[i].config.options.history = {0, 0, 1 << 20};  // small snapshots
  }
  REQUIRE(cluster.form(3));
  size_t behind = *cluster.some_follower();
  size_t writer = behind == 0 ? 1 : 0;
  cluster.crash(behind);
  const std::string value(200, 'v');
  auto write_for = [&](uint64_t writes) {
    for (uint64_t i = 0; i < writes; ++i) {
      REQUIRE(cluster.wait(cluster.put(writer, "k" + std::to_string(i % 40), value)) == Code::kOk);
      cluster.run_for(5 * kMs);
    }
  };
  write_for(200);
  cluster.network.faults.stream_us_per_kib = 100 * kMs;  // 8 KiB and more: longer than the hold
  cluster[behind].start();
  write_for(1000);
  CHECK(cluster[behind].snapshots_received() >= 2);
  const raft::RaftLog& kept = cluster[*cluster.leader()].raft().log();
  CHECK(cluster[behind].raft().log().last().index < kept.base().index);
  CHECK(kept.last().index.value - kept.base().index.value < 300);  // of 1,200
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster.states_agree());
}

TEST_CASE("an empty joiner of an old cluster starts from a snapshot") {
  SimCluster cluster(22);
  compact_early(cluster, 2);
  REQUIRE(cluster.form(1));
  for (int i = 0; i < 100; ++i) {
    REQUIRE(cluster.wait(cluster.put(0, "k", std::to_string(i))) == Code::kOk);
  }
  REQUIRE(cluster.run_until([&] { return cluster[0].raft().log().base().index.value > 50; }));
  cluster[1].start();
  ControlCallPtr added = cluster.add_member(0, 1);
  REQUIRE(cluster.wait(added) == Code::kOk);
  CHECK(json_of(added)["state"] == "voter");
  CHECK(cluster[1].snapshots_received() == 1);
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster.states_agree());
  // It keeps what it got.
  cluster.crash(1, SimNode::Crash::kPower);
  cluster[1].start();
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  check_everywhere(cluster, "k", "99");
}

TEST_CASE("a learner stays one, and becomes a voter when it is added again") {
  SimCluster cluster(23);
  REQUIRE(cluster.form(1));
  cluster.add_node();
  cluster[1].start();
  ControlCallPtr added = cluster.add_member(0, 1, true);
  REQUIRE(cluster.wait(added) == Code::kOk);
  CHECK(json_of(added)["state"] == "learner");
  cluster.run_for(10 * kSecond);
  CHECK_FALSE(cluster.is_voter(1));
  CHECK(cluster.wait(cluster.put(1, "k", "v")) == Code::kOk);
  check_everywhere(cluster, "k", "v");
  ControlCallPtr again = cluster.add_member(0, 1);
  REQUIRE(cluster.wait(again) == Code::kOk);
  CHECK(json_of(again)["state"] == "voter");
}

TEST_CASE("a removed node cannot come back with its old data, but with an empty directory it can") {
  SimCluster cluster(24);
  REQUIRE(cluster.form(3));
  size_t gone = *cluster.some_follower();
  size_t via = gone == 0 ? 1 : 0;
  ControlCallPtr removed = cluster.remove_member(via, cluster[gone].name());
  REQUIRE(cluster.wait(removed) == Code::kOk);
  CHECK(json_of(removed)["removed"] == true);
  cluster.crash(gone);
  cluster[gone].start();
  cluster.run_for(5 * kSecond);
  CHECK(refusal_of(cluster, gone).find("was removed") != std::string::npos);
  // Even when it is added again under its name: its id is dead.
  ControlCallPtr pending =
      cluster.control(via, "cluster.add",
                      R"({"node_id":")" + cluster[gone].name() + R"(","address":")" +
                          cluster[gone].address() + R"(","timeout_ms":3000})");
  REQUIRE(cluster.wait(pending) == Code::kOk);
  CHECK(json_of(pending)["state"] == "pending");
  cluster.crash(gone);
  cluster[gone].wipe();
  cluster[gone].start();
  CHECK(cluster.run_until([&] { return cluster.is_voter(gone); }));
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster.states_agree());
}

TEST_CASE("a leader can remove itself") {
  SimCluster cluster(25);
  REQUIRE(cluster.form(3));
  size_t old = *cluster.leader();
  REQUIRE(cluster.wait(cluster.remove_member(old, cluster[old].name())) == Code::kOk);
  CHECK(cluster.run_until([&] { return cluster.leader() && *cluster.leader() != old; }));
  size_t other = old == 0 ? 1 : 0;
  CHECK(cluster.wait(cluster.put(other, "k", "v")) == Code::kOk);
  CHECK(cluster[other].raft().configuration().voter_count() == 2);
}

TEST_CASE("what would lose the quorum is refused, unless it is forced") {
  SimCluster cluster(26);
  REQUIRE(cluster.form(3));
  size_t down = *cluster.some_follower();
  cluster.crash(down);
  size_t leads = *cluster.leader();
  size_t healthy = 3 - down - leads;
  REQUIRE(cluster.run_until([&] {
    for (const raft::PeerStatus& peer : cluster[leads].raft().peers()) {
      if (peer.id == cluster[down].id()) return !peer.recently_active;
    }
    return false;
  }));
  ControlCallPtr refused = cluster.remove_member(leads, cluster[healthy].name());
  CHECK(cluster.wait(refused) == Code::kConflict);
  CHECK(json_of(refused)["code"] == "quorum_loss");
  CHECK(cluster.wait(cluster.remove_member(leads, cluster[down].name())) == Code::kOk);
  CHECK(cluster.wait(cluster.remove_member(leads, "nobody")) == Code::kNotFound);
  CHECK(cluster.wait(cluster.remove_member(leads, cluster[healthy].name())) == Code::kOk);
  ControlCallPtr last = cluster.remove_member(leads, cluster[leads].name(), true);
  CHECK(cluster.wait(last) == Code::kConflict);
  CHECK(json_of(last)["code"] == "quorum_loss");
}

TEST_CASE("a wiped node under its old name is refused") {
  SimCluster cluster(27);
  REQUIRE(cluster.form(3));
  size_t wiped = *cluster.some_follower();
  cluster.crash(wiped);
  cluster[wiped].wipe();
  cluster[wiped].config.options.peers = {cluster[0].address(), cluster[1].address(),
                                         cluster[2].address()};
  cluster[wiped].start();
  cluster.run_for(5 * kSecond);
  CHECK_FALSE(cluster[wiped].node().identity().joined());
  CHECK(refusal_of(cluster, wiped).find("bound to another node") != std::string::npos);
  size_t other = wiped == 0 ? 1 : 0;
  CHECK(cluster.wait(cluster.put(other, "k", "v")) == Code::kOk);
  // The way back that the message names.
  REQUIRE(cluster.wait(cluster.remove_member(other, cluster[wiped].name())) == Code::kOk);
  ControlCallPtr added = cluster.add_member(other, wiped);
  REQUIRE(cluster.wait(added) == Code::kOk);
  CHECK(json_of(added)["state"] == "voter");
}

// A removal that is not committed may never be: whoever has it in its log must not turn the member
// away, which may lead the others and be the only one that can end the matter.
TEST_CASE("a removal that is not committed turns nobody away") {
  SimCluster cluster(35);
  REQUIRE(cluster.form(3));
  const size_t old_leader = *cluster.leader();
  const size_t removed = *cluster.some_follower();
  cluster.isolate(old_leader);
  cluster.remove_member(old_leader, cluster[removed].name());
  REQUIRE(cluster.run_until([&] {
    return cluster.leader() && *cluster.leader() != old_leader &&
           !cluster[old_leader].raft().leader();
  }));
  REQUIRE(cluster[old_leader].raft().configuration().find(cluster[removed].id()) == nullptr);
  const size_t leader = *cluster.leader();
  if (leader != removed) {
    REQUIRE(cluster.wait(cluster.control(leader, "cluster.transfer",
                                         R"({"node_id":")" + cluster[removed].name() + R"("})")) ==
            Code::kOk);
  }
  cluster.crash(old_leader);
  cluster.network.heal();
  cluster[old_leader].start();
  CHECK(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster.is_voter(removed));
}

TEST_CASE("two clusters do not mix, and a machine claimed by two stops serving") {
  SimCluster cluster(28);
  REQUIRE(cluster.form(2));
  size_t stranger = cluster.add_node();
  wire::ClusterId other{};
  other.fill(7);
  cluster[stranger].config.options.peers = {cluster[0].address()};
  cluster[stranger].bootstrap(other);
  cluster[stranger].start();
  REQUIRE(cluster.run_until([&] { return cluster[stranger].raft().leader_ready(); }));
  // The stranger's cluster admits n2, which belongs to ours: n2 refuses to become its member.
  ControlCallPtr added = cluster.control(
      stranger, "cluster.add", R"({"node_id":"n2","address":"host-n2:7000","timeout_ms":2000})");
  REQUIRE(cluster.wait(added) == Code::kOk);
  CHECK(json_of(added)["state"] == "pending");
  CHECK(cluster[1].cluster() == cluster[0].cluster());
  CHECK(cluster.wait(cluster.put(0, "k", "v")) == Code::kOk);
  // A second brain with our own address among its members: no service until an operator looks.
  wire::Hello twin;
  twin.cluster = other;
  twin.node = 99;
  twin.name = "twin";
  twin.members = {{99, "twin", "elsewhere:1"}, {98, "n2", cluster[1].address()}};
  CHECK(cluster[1].meet(twin, raft::kNoNode).code() == Code::kIncompatible);
  cluster.run_for(kMs);
  ControlCallPtr health = cluster.control(1, "health", "{}");
  CHECK(cluster.wait(health) == Code::kUnreachable);
  CHECK(health->outcome->message.find("foreign_cluster") != std::string::npos);
  WritePtr write = cluster.put(1, "k", "w");
  CHECK(cluster.wait(write) == Code::kUnreachable);
  CHECK(write->outcome->committed == node::Committed::kNo);
  // It serves again when the claims have ended.
  cluster.run_for((node::Node::kForeignClaimMs + 1'000) * kMs);
  CHECK(cluster.wait(cluster.put(1, "k", "w")) == Code::kOk);
}

TEST_CASE("a leader's removal of itself is answered by the follower that forwarded it") {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    SimCluster cluster(seed);
    REQUIRE(cluster.form(3));
    const size_t leader = *cluster.leader();
    const size_t follower = *cluster.some_follower();
    const std::string name = cluster[leader].name();
    ControlCallPtr removed = cluster.remove_member(follower, name);
    // The old leader dies as soon as the follower knows that it is out: its answer may be lost.
    REQUIRE(cluster.run_until([&] {
      return cluster[follower].node().membership().find_name(name) == nullptr &&
             !cluster[follower].raft().configuration_change_pending();
    }));
    cluster.crash(leader);
    REQUIRE(cluster.wait(removed, 2 * kSecond) == Code::kOk);
    CHECK(removed->outcome->json.find(name) != std::string::npos);
  }
}

TEST_CASE("a leader that another cluster claims hands leadership over") {
  SimCluster cluster(30);
  REQUIRE(cluster.form(3));
  size_t leader = *cluster.leader();
  wire::Hello twin;
  twin.cluster.fill(7);
  twin.node = 99;
  twin.name = "twin";
  twin.members = {{98, "other", cluster[leader].address()}};
  CHECK(cluster[leader].meet(twin, raft::kNoNode).code() == Code::kIncompatible);
  REQUIRE(
      cluster.run_until([&] { return cluster.leader() && *cluster.leader() != leader; }, kSecond));
  CHECK(cluster.wait(cluster.put(*cluster.leader(), "k", "v")) == Code::kOk);
  // Elected again while it is claimed, it hands over again.
  REQUIRE(cluster.wait(cluster.control(*cluster.leader(), "cluster.transfer",
                                       R"({"node_id":")" + cluster[leader].name() + R"("})")) ==
          Code::kOk);
  REQUIRE(cluster.run_until([&] { return cluster.leader() && *cluster.leader() != leader; },
                            2 * kSecond));
}

TEST_CASE("a member that moved to another address is reached there") {
  SimCluster cluster(29);
  REQUIRE(cluster.form(3));
  size_t moving = *cluster.some_follower();
  size_t via = moving == 0 ? 1 : 0;
  cluster.crash(moving);
  cluster[moving].config.address = "elsewhere:7000";
  REQUIRE(cluster.wait(cluster.add_member(via, moving)) == Code::kOk);
  cluster[moving].start();
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster.wait(cluster.put(moving, "k", "v")) == Code::kOk);
  ControlCallPtr taken =
      cluster.control(via, "cluster.add", R"({"node_id":"n9","address":"elsewhere:7000"})");
  CHECK(cluster.wait(taken) == Code::kConflict);
  CHECK(json_of(taken)["code"] == "address_taken");
}

TEST_CASE("malformed verbs are refused by name") {
  SimCluster cluster(30);
  REQUIRE(cluster.form(1));
  for (const char* json :
       {"[]", "{", "{}", R"({"node_id":1,"address":"a:1"})",
        R"({"node_id":"x","address":"a:1","learner":"yes"})",
        R"({"node_id":"x","address":"a:1","timeout_ms":-1})",
        R"({"node_id":"x","address":"no port"})", R"({"node_id":"a b","address":"a:1"})"}) {
    CAPTURE(json);
    ControlCallPtr call = cluster.control(0, "cluster.add", json);
    CHECK(cluster.wait(call) == Code::kInvalid);
    CHECK(json_of(call)["code"] == "invalid_argument");
  }
  CHECK(cluster.wait(cluster.control(0, "cluster.dance", "{}")) == Code::kUnsupported);
  CHECK(cluster.wait(cluster.control(0, "cluster.transfer", R"({"node_id":"x"})")) ==
        Code::kNotFound);
}

TEST_CASE("leadership moves to the voter that was named") {
  SimCluster cluster(31);
  REQUIRE(cluster.form(3));
  size_t target = *cluster.some_follower();
  REQUIRE(cluster.wait(cluster.control(target, "cluster.transfer",
                                       R"({"node_id":")" + cluster[target].name() + R"("})")) ==
          Code::kOk);
  CHECK(cluster.run_until([&] { return cluster.leader() == target; }));
}

}  // namespace
}  // namespace kvstore::sim
