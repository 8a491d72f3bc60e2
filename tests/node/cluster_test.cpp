// Goal: three nodes form a cluster, take requests anywhere and survive what happens to machines.
// Method: whole nodes on the simulated ports, one seed per case, states compared pair by pair.
#include "sim_testing.hpp"

namespace kvstore::sim {
namespace {

TEST_CASE("a sole bootstrapped node leads and serves") {
  SimCluster cluster(1);
  REQUIRE(cluster.form(1));
  CHECK(cluster.wait(cluster.put(0, "k", "v")) == Code::kOk);
  check_everywhere(cluster, "k", "v");
}

TEST_CASE("joiners are admitted before and after they run") {
  SimCluster cluster(2);
  REQUIRE(cluster.form(1));
  cluster.add_node();
  cluster.add_node();
  // n2 is added while it does not run, by a client that does not wait for it.
  ControlCallPtr early = cluster.control(
      0, "cluster.add", R"({"node_id":"n2","address":"host-n2:7000","timeout_ms":500})");
  CHECK(cluster.wait(early) == Code::kOk);
  CHECK(json_of(early)["state"] == "pending");
  CHECK_FALSE(json_of(early).contains("id"));
  cluster[1].start();
  CHECK(cluster.run_until([&] { return cluster.is_voter(1); }));
  // n3 runs first, is refused and says so, until it is added through a follower.
  cluster[2].config.options.peers = {"host-n1:7000"};
  cluster[2].start();
  cluster.run_for(2 * kSecond);
  CHECK_FALSE(cluster[2].node().identity().joined());
  ControlCallPtr waiting = cluster.control(2, "health", "{}");
  CHECK(cluster.wait(waiting) == Code::kUnreachable);
  CHECK(waiting->outcome->message.find("not admitted yet") != std::string::npos);
  ControlCallPtr late = cluster.add_member(1, 2);
  CHECK(cluster.wait(late) == Code::kOk);
  CHECK(json_of(late)["state"] == "voter");
  CHECK(cluster[2].cluster() == cluster[0].cluster());
  CHECK(cluster.wait(cluster.control(2, "health", "{}")) == Code::kOk);
  CHECK(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster.states_agree());
}

TEST_CASE("every node takes writes and linearizable reads") {
  SimCluster cluster(3);
  REQUIRE(cluster.form(3));
  for (int round = 0; round < 5; ++round) {
    for (size_t i = 0; i < 3; ++i) {
      std::string value = std::to_string(round) + "/" + std::to_string(i);
      WritePtr write = cluster.put(i, "k", value);
      REQUIRE(cluster.wait(write) == Code::kOk);
      CHECK(write->outcome->committed == node::Committed::kYes);
      CHECK(write->outcome->result.succeeded);
      check_everywhere(cluster, "k", value);
    }
  }
  uint64_t forwarded = 0;
  for (size_t i = 0; i < 3; ++i) forwarded += cluster[i].node().counters().forwarded;
  CHECK(forwarded >= 10);
}

TEST_CASE("a request that may not be forwarded is refused by a follower with a definite no") {
  SimCluster cluster(4);
  REQUIRE(cluster.form(3));
  size_t follower = *cluster.some_follower();
  WritePtr write = cluster.put(follower, "k", "v", SimCluster::kTimeoutMs, false);
  CHECK(cluster.wait(write) == Code::kNotLeader);
  CHECK(write->outcome->committed == node::Committed::kNo);
}

TEST_CASE("status of a follower carries the leader's figures") {
  SimCluster cluster(5);
  REQUIRE(cluster.form(3));
  REQUIRE(cluster.wait(cluster.put(0, "k", "v")) == Code::kOk);
  ControlCallPtr status = cluster.control(*cluster.some_follower(), "cluster.status", "{}");
  REQUIRE(cluster.wait(status) == Code::kOk);
  nlohmann::json json = json_of(status);
  CHECK(json["source"] == "leader");
  REQUIRE(json["members"].size() == 3);
  for (const auto& member : json["members"]) {
    CHECK(member["role"] == "voter");
    CHECK(member["healthy"] == true);
    CHECK(member["match_index"].get<uint64_t>() > 0);
  }
  CHECK(json["leader"]["node_id"] == cluster[*cluster.leader()].name());
}

TEST_CASE(
    "status names every member's plugins, and shows what others say whatever bytes it holds") {
  SimCluster cluster(7);
  REQUIRE(cluster.form(3));
  const size_t leader = *cluster.leader(), follower = *cluster.some_follower();
  node::Node& node = cluster[follower].node();
  wire::Hello hello;
  hello.node = cluster[leader].node().identity().id.value;
  hello.name = cluster[leader].name();
  hello.api_addresses = {{"http", "\xff:1"}};
  hello.plugins = {"state=storage-\xff/1.0/2", "nonsense", "log=storage-leveldb/1.2"};
  node.on_hello(hello);
  ControlCallPtr status = cluster.control(follower, "cluster.status", "{}");
  REQUIRE(cluster.wait(status) == Code::kOk);
  const nlohmann::json json = json_of(status);
  CHECK(json["leader"]["api_address"] == "\xef\xbf\xbd:1");
  const nlohmann::json& plugins = json["members"][leader]["plugins"];
  REQUIRE(plugins.size() == 2);
  CHECK(plugins[0]["role"] == "state");
  CHECK(plugins[0]["id"] == "storage-\xef\xbf\xbd/1.0");
  CHECK(plugins[0]["version"] == "2");
  CHECK(plugins[1]["id"] == "storage-leveldb");
  CHECK(json["members"][follower]["plugins"].is_array());
  // A node of another cluster, and one that refuses this node.
  hello.cluster = {1};
  hello.name = "\xff";
  node.on_foreign_hello(hello);
  node.on_rejected({Code::kConflict, "because of \xff"});
  ControlCallPtr health = cluster.control(follower, "health", "{}");
  CHECK(cluster.wait(health) == Code::kUnreachable);
  CHECK(json_of(health)["checks"]["cluster"]["message"].get<std::string>().find("'\xef\xbf\xbd'") !=
        std::string::npos);
}

TEST_CASE("the cluster goes on after the leader crashed, and the leader comes back") {
  for (SimNode::Crash how : {SimNode::Crash::kProcess, SimNode::Crash::kPower}) {
    SimCluster cluster(6);
    REQUIRE(cluster.form(3));
    REQUIRE(cluster.wait(cluster.put(0, "before", "1")) == Code::kOk);
    size_t old = *cluster.leader();
    cluster.crash(old, how);
    size_t other = old == 0 ? 1 : 0;
    WritePtr during = cluster.put(other, "during", "2");
    CHECK(cluster.wait(during) == Code::kOk);
    REQUIRE(cluster.wait_for_leader());
    CHECK(*cluster.leader() != old);
    cluster[old].start();
    REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
    check_everywhere(cluster, "before", "1");
    check_everywhere(cluster, "during", "2");
    CHECK(cluster.states_agree());
  }
}

TEST_CASE("everything acknowledged survives a power cut of all nodes") {
  SimCluster cluster(7);
  REQUIRE(cluster.form(3));
  for (int i = 0; i < 50; ++i) {
    REQUIRE(cluster.wait(cluster.put(static_cast<size_t>(i) % 3, "k" + std::to_string(i), "v")) ==
            Code::kOk);
  }
  for (size_t i = 0; i < 3; ++i) cluster.crash(i, SimNode::Crash::kPower);
  for (size_t i = 0; i < 3; ++i) cluster[i].start();
  REQUIRE(cluster.wait_for_leader());
  for (int i = 0; i < 50; ++i) check_everywhere(cluster, "k" + std::to_string(i), "v");
}

TEST_CASE("writes of a leader that was cut off are never acknowledged unless they are committed") {
  SimCluster cluster(8);
  REQUIRE(cluster.form(3));
  size_t old = *cluster.leader();
  cluster.isolate(old);
  std::vector<WritePtr> lost;
  for (int i = 0; i < 20; ++i) {
    lost.push_back(cluster.put(old, "lost" + std::to_string(i), "x", 3'000));
  }
  size_t other = old == 0 ? 1 : 0;
  // The others may send to the old leader until they elect another.
  REQUIRE(cluster.run_until([&] {
    raft::NodeId leader = cluster[other].raft().leader();
    return leader && leader != cluster[old].id();
  }));
  CHECK(cluster.wait(cluster.put(other, "k", "new")) == Code::kOk);
  ReadCallPtr stale = cluster.get(old, "k", 2'000);
  CHECK(cluster.wait(stale) == Code::kUnreachable);
  cluster.network.heal();
  for (const WritePtr& write : lost) {
    Code code = cluster.wait(write);
    bool unknown =
        code == Code::kIndeterminate && write->outcome->committed == node::Committed::kUnknown;
    bool refused = code == Code::kNotLeader && write->outcome->committed == node::Committed::kNo;
    CHECK((unknown || refused));
  }
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  check_everywhere(cluster, "k", "new");
  // They were proposed in a term that never committed: gone.
  for (int i = 0; i < 20; ++i) check_everywhere(cluster, "lost" + std::to_string(i), "(absent)");
}

TEST_CASE("without a leader, requests end at their deadlines with a definite no") {
  SimCluster cluster(9);
  REQUIRE(cluster.form(3));
  size_t left = *cluster.some_follower();
  for (size_t i = 0; i < 3; ++i) {
    if (i != left) cluster.crash(i);
  }
  REQUIRE(cluster.run_until([&] { return !cluster[left].raft().leader(); }));
  WritePtr write = cluster.put(left, "k", "v", 2'000);
  ReadCallPtr read = cluster.get(left, "k", 2'000);
  ControlCallPtr control = cluster.control(left, "cluster.remove", R"({"node_id":"n1"})", 2'000);
  CHECK(cluster.wait(write) == Code::kUnreachable);
  CHECK(write->outcome->committed == node::Committed::kNo);
  CHECK(cluster.wait(read) == Code::kUnreachable);
  CHECK(cluster.wait(control) == Code::kUnreachable);
}

TEST_CASE("a node that shuts down hands its leadership over before it goes") {
  SimCluster cluster(10);
  REQUIRE(cluster.form(3));
  size_t old = *cluster.leader();
  raft::Term term = cluster[old].raft().term();
  size_t other = old == 0 ? 1 : 0;
  std::vector<WritePtr> writes;
  for (int i = 0; i < 10; ++i) writes.push_back(cluster.put(other, "k" + std::to_string(i), "v"));
  cluster[old].shut_down(3 * kSecond);
  // Sooner than any election timeout.
  REQUIRE(cluster.wait_for_leader(300 * kMs));
  CHECK(*cluster.leader() != old);
  CHECK(cluster[*cluster.leader()].raft().term() == term + 1);
  for (const WritePtr& write : writes) CHECK(cluster.wait(write) == Code::kOk);
}

TEST_CASE(
    "a node that shuts down hands its leadership to another when the first does not take it") {
  for (bool first : {true, false}) {
    SimCluster cluster(14);
    REQUIRE(cluster.form(3));
    const size_t old = *cluster.leader();
    const size_t frozen = first ? (old == 0 ? 1 : 0) : (old == 2 ? 1 : 2);
    const size_t live = 3 - old - frozen;
    CAPTURE(frozen);
    cluster[frozen].pause();
    cluster[old].shut_down(10 * kSecond);
    REQUIRE(cluster.run_until([&] { return cluster[live].raft().leader_ready(); }, 3 * kSecond));
    cluster[frozen].resume();
    REQUIRE(cluster.wait(cluster.put(live, "k", "v")) == Code::kOk);
  }
}

TEST_CASE("a draining node refuses new requests") {
  SimCluster cluster(11);
  REQUIRE(cluster.form(1));
  cluster[0].shut_down(0);
  cluster[0].start();
  REQUIRE(cluster.wait_for_leader());
  cluster.world.run_for(kSecond);
  cluster[0].node().begin_shutdown();
  CHECK(cluster.wait(cluster.put(0, "k", "v")) == Code::kClosed);
  CHECK(cluster.wait(cluster.get(0, "k")) == Code::kClosed);
  CHECK(cluster.wait(cluster.control(0, "cluster.remove", R"({"node_id":"x"})")) == Code::kClosed);
}

TEST_CASE("an answer to an earlier life of a node is not taken for one to this life") {
  SimCluster cluster(13);
  REQUIRE(cluster.form(3));
  REQUIRE(cluster.wait(cluster.put(0, "first", "v")) == Code::kOk);
  size_t leads = *cluster.leader();
  size_t forwards = *cluster.some_follower();
  cluster.crash(3 - leads - forwards);
  // The leader proposes the write and cannot commit it: the node that sent it is gone.
  raft::Index last = cluster[leads].raft().log().last().index;
  WritePtr old = cluster.put(forwards, "old", "v");
  REQUIRE(cluster.run_until([&] { return cluster[leads].raft().log().last().index > last; }));
  cluster.crash(forwards, SimNode::Crash::kPower);
  CHECK(old->outcome->committed == node::Committed::kUnknown);
  // It comes back and forwards its first write while the answer to the old one is on its way.
  cluster[forwards].start();
  WritePtr fresh = cluster.put(forwards, "fresh", "v");
  REQUIRE(cluster.wait(fresh) == Code::kOk);
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  check_everywhere(cluster, "old", "v");
  CHECK(fresh->outcome->result.revision == cluster[leads].local_revision("fresh"));
}

TEST_CASE("uploads that nobody finishes are swept") {
  SimCluster cluster(12);
  cluster.add_node();
  cluster[0].config.options.upload_idle_ms = 60'000;
  REQUIRE(cluster.form(1));
  REQUIRE(cluster.wait(cluster.propose(0, kv::UploadPart{7, 0, "part"})) == Code::kOk);
  cluster.run_for(30 * kSecond);
  CHECK(cluster[0].node().applied().open_uploads == 1);
  // Parts that come keep it alive.
  REQUIRE(cluster.wait(cluster.propose(0, kv::UploadPart{8, 0, "part"})) == Code::kOk);
  CHECK(cluster.run_until([&] { return cluster[0].node().applied().open_uploads == 1; },
                          45 * kSecond));
  CHECK(cluster.run_until([&] { return cluster[0].node().applied().open_uploads == 0; },
                          90 * kSecond));
  test::MemoryData data = cluster[0].store().data();
  CHECK(data.spaces[kv::kSpaceParts].empty());
}

}  // namespace
}  // namespace kvstore::sim
