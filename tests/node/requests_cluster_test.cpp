// Goal: a write under a request id takes effect once on the cluster, wherever and whenever it is
// repeated.
// Method: simulated clusters; the answer is lost at every moment of a write's way, leaders are cut
// off, nodes lose power, the log is compacted away, and the request is sent again.
#include "kv/fingerprint.hpp"
#include "sim_testing.hpp"

namespace kvstore::sim {
namespace {

kv::Txn put_once(const std::string& id, const std::string& key, const std::string& value) {
  kv::Txn txn;
  txn.then_ops.resize(1);
  txn.then_ops[0].range.key = key;
  txn.then_ops[0].value = value;
  const kv::Fingerprint fingerprint = kv::fingerprint_of(txn, {});
  txn.request = kv::RequestId{"", id, fingerprint};
  return txn;
}

uint64_t version_of(SimNode& node, const std::string& key) {
  auto view = node.store().open_view();
  uint64_t version = 0;
  Status s = kv::read_item(**view, 0, key, [&](const kv::ItemView& item) {
    version = item.version;
    return true;
  });
  CHECK((s.is_ok() || s.code() == Code::kNotFound));
  return version;
}

// Sends the request until its outcome is known, as a client does.
WritePtr settle(SimCluster& cluster, size_t node, const kv::Txn& txn) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    WritePtr call = cluster.propose(node, txn, 2'000);
    if (cluster.wait(call) == Code::kOk) return call;
  }
  FAIL("no outcome");
  return nullptr;
}

TEST_CASE(
    "a write whose answer was lost is sent again, at whatever moment the leader was cut off") {
  int replayed = 0, executed = 0;
  for (uint64_t moment_us = 0; moment_us <= 8 * kMs; moment_us += kMs / 4) {
    CAPTURE(moment_us);
    SimCluster cluster(81 + moment_us);
    REQUIRE(cluster.form(3));
    const size_t old_leader = *cluster.leader();
    const size_t via = *cluster.some_follower();
    const kv::Txn once = put_once("id", "k", "v");
    WritePtr lost = cluster.propose(moment_us % kMs < kMs / 2 ? via : old_leader, once, 300);
    cluster.run_for(moment_us);
    cluster.isolate(old_leader);
    if (cluster.wait(lost) == Code::kOk) continue;  // it was answered all the same
    WritePtr again = settle(cluster, via, once);
    (again->outcome->result.replayed ? replayed : executed)++;
    WritePtr third = settle(cluster, via, once);
    CHECK(third->outcome->result.replayed);
    CHECK(third->outcome->result.revision == again->outcome->result.revision);
    cluster.network.heal();
    REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
    CHECK(cluster.states_agree());
    for (size_t i = 0; i < 3; ++i) CHECK(version_of(cluster[i], "k") == 1);
  }
  CHECK(replayed > 0);
  CHECK(executed > 0);
}

TEST_CASE("the answer outlives power cuts of all nodes, and snapshots carry it") {
  SimCluster cluster(82);
  for (size_t i = 0; i < 3; ++i) {
    cluster.add_node();
    cluster[i].config.options.trailing_entries = 5;
    cluster[i].config.options.trailing_bytes = 100;
    cluster[i].config.options.sync_interval_ms = 100;
  }
  REQUIRE(cluster.form(3));
  const size_t behind = *cluster.some_follower();
  const size_t writer = behind == 0 ? 1 : 0;
  cluster.crash(behind);
  const kv::Txn once = put_once("id", "k", "v");
  WritePtr first = cluster.propose(writer, once, 20'000);
  REQUIRE(cluster.wait(first) == Code::kOk);
  const raft::Index at = first->outcome->at.index;
  for (int i = 0; i < 100; ++i)
    REQUIRE(cluster.wait(cluster.put(writer, "other", std::to_string(i))) == Code::kOk);
  REQUIRE(cluster.run_until([&] {
    const std::optional<size_t> leads = cluster.leader();
    return leads && cluster[*leads].raft().log().base().index > at;
  }));
  cluster[behind].start();
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  REQUIRE(cluster[behind].snapshots_received() >= 1);
  for (size_t i = 0; i < 3; ++i) cluster.crash(i, SimNode::Crash::kPower);
  for (size_t i = 0; i < 3; ++i) cluster[i].start();
  REQUIRE(cluster.wait_for_leader());
  WritePtr again = settle(cluster, behind, once);
  CHECK(again->outcome->result.replayed);
  CHECK(again->outcome->result.revision == first->outcome->result.revision);
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster.states_agree());
  for (size_t i = 0; i < 3; ++i) CHECK(version_of(cluster[i], "k") == 1);
}

TEST_CASE("another request under the id is refused through every node") {
  SimCluster cluster(83);
  REQUIRE(cluster.form(3));
  REQUIRE(cluster.wait(cluster.propose(0, put_once("id", "k", "v"))) == Code::kOk);
  for (size_t i = 0; i < 3; ++i) {
    WritePtr other = cluster.propose(i, put_once("id", "k", "w"));
    CHECK(toString(cluster.wait(other)) == toString(Code::kConflict));
    CHECK(other->outcome->committed == node::Committed::kNo);
    CHECK(other->outcome->message == "the request id was used for another request");
  }
  check_everywhere(cluster, "k", "v");
}

TEST_CASE("a malformed request id of another node never reaches the log") {
  SimCluster cluster(84);
  REQUIRE(cluster.form(3));
  WritePtr bad = cluster.propose(*cluster.some_follower(), put_once("", "k", "v"));
  CHECK(toString(cluster.wait(bad)) == toString(Code::kInvalid));
  check_everywhere(cluster, "k", "(absent)");
}

}  // namespace
}  // namespace kvstore::sim
