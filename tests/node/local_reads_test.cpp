// Goal: leaders answer under a lease and followers within an age exactly while they may.
// Method: whole nodes on the simulated ports; the leader is cut off, hands over, and followers lose
// sight of it.
#include "sim_testing.hpp"

namespace kvstore::sim {
namespace {

struct Local {
  Code code = Code::kTimeout;
  std::string reason;
  bool ended = false;
};
using LocalPtr = std::shared_ptr<Local>;

LocalPtr ask(SimNode& node, node::Consistency consistency, uint64_t max_staleness_ms = 0,
             uint64_t min_revision = 0, uint64_t timeout_ms = 1'000) {
  auto local = std::make_shared<Local>();
  auto read = std::make_unique<node::Read>();
  read->consistency = consistency;
  read->max_staleness_ms = max_staleness_ms;
  read->min_revision = min_revision;
  read->deadline_ms = node.clock_ms() + timeout_ms;
  read->done = node::Completion<node::ReadOutcome>([local](node::ReadOutcome&& outcome) {
    local->code = outcome.code;
    local->reason = outcome.reason == nullptr ? "" : outcome.reason;
    local->ended = true;
  });
  node.read(std::move(read));
  return local;
}

struct Three : SimCluster {
  explicit Three(uint64_t seed, bool leases = true) : SimCluster(seed) {
    for (int i = 0; i < 3; ++i) {
      node::Options& options = (*this)[add_node()].config.options;
      if (leases) options.raft.vote_promise_ms = (options.raft.election_ticks - 2) * 25;
    }
    REQUIRE(form(3));
    REQUIRE(wait(put(0, "k", "v")) == Code::kOk);
    run_for(kSecond);
  }
};

uint64_t lease_reads(SimNode& node) {
  return node.node().counters().lease_reads;
}

TEST_CASE("a leader answers at once under its lease, until it is cut off for as long as that") {
  Three cluster(1);
  SimNode& leader = cluster[*cluster.leader()];
  CHECK(ask(leader, node::Consistency::kLease)->code == Code::kOk);
  CHECK(lease_reads(leader) == 1);
  cluster.isolate(*cluster.leader());
  cluster.run_for(300 * kMs);
  CHECK(ask(leader, node::Consistency::kLease)->code == Code::kOk);
  cluster.run_for(400 * kMs);
  const uint64_t before = lease_reads(leader);
  LocalPtr late = ask(leader, node::Consistency::kLease);
  CHECK_FALSE(late->ended);
  CHECK(lease_reads(leader) == before);
}

TEST_CASE("without leases, and on a follower, a lease read asks as a linearizable one") {
  Three cluster(2, false);
  SimNode& leader = cluster[*cluster.leader()];
  LocalPtr read = ask(leader, node::Consistency::kLease);
  CHECK_FALSE(read->ended);
  CHECK(cluster.run_until([&] { return read->ended; }));
  CHECK(read->code == Code::kOk);
  CHECK(lease_reads(leader) == 0);
  Three with(3);
  LocalPtr follower = ask(with[*with.some_follower()], node::Consistency::kLease);
  CHECK_FALSE(follower->ended);
  CHECK(with.run_until([&] { return follower->ended; }));
  CHECK(follower->code == Code::kOk);
}

TEST_CASE("a leader that hands over has no lease any more") {
  Three cluster(4);
  const size_t old = *cluster.leader();
  const size_t next = *cluster.some_follower();
  REQUIRE(ask(cluster[old], node::Consistency::kLease)->code == Code::kOk);
  ControlCallPtr call =
      cluster.control(old, "cluster.transfer", R"({"node_id":")" + cluster[next].name() + R"("})");
  const uint64_t before = lease_reads(cluster[old]);
  LocalPtr read = ask(cluster[old], node::Consistency::kLease);
  CHECK(lease_reads(cluster[old]) == before);
  CHECK(cluster.wait(call) == Code::kOk);
  CHECK(cluster.run_until([&] { return read->ended; }));
}

TEST_CASE("a follower answers within an age while it hears the leader, and refuses beyond it") {
  Three cluster(5, false);
  const size_t follower = *cluster.some_follower();
  SimNode& node = cluster[follower];
  CHECK(ask(node, node::Consistency::kStale, 400)->code == Code::kOk);
  LocalPtr fresh = ask(node, node::Consistency::kStale, 1);
  CHECK(fresh->code == Code::kUnreachable);
  CHECK(fresh->reason == "too_stale");
  SimNode& leader = cluster[*cluster.leader()];
  CHECK(ask(leader, node::Consistency::kStale, 200)->code == Code::kOk);
  cluster.isolate(follower);
  cluster.run_for(600 * kMs);
  CHECK(ask(node, node::Consistency::kStale, 400)->reason == "too_stale");
  CHECK(ask(node, node::Consistency::kStale, 60'000)->code == Code::kOk);
  CHECK(ask(node, node::Consistency::kStale)->code == Code::kOk);  // any age
}

TEST_CASE("a node that has just started knows no age") {
  Three cluster(6, false);
  const size_t follower = *cluster.some_follower();
  cluster.crash(follower);
  cluster.isolate(follower);
  cluster[follower].start();
  CHECK(ask(cluster[follower], node::Consistency::kStale, 60'000)->reason == "too_stale");
}

TEST_CASE("a node that failed vouches for nothing") {
  SimCluster cluster(8);
  node::Options& options = cluster[cluster.add_node()].config.options;
  options.raft.vote_promise_ms = (options.raft.election_ticks - 2) * 25;
  REQUIRE(cluster.form(1));
  REQUIRE(cluster.wait(cluster.put(0, "k", "v")) == Code::kOk);
  cluster.run_for(kSecond);
  CHECK(cluster[0].local_reads().lease_until_ms > 0);
  cluster[0].disk_faults.fail_write = true;
  WritePtr write = cluster.put(0, "k", "w");
  REQUIRE(cluster.run_until([&] { return !cluster[0].running() || cluster[0].node().failed(); }));
  REQUIRE(cluster[0].running());  // for a moment yet
  CHECK(cluster[0].local_reads().lease_until_ms == 0);
  CHECK(cluster[0].local_reads().fresh_ms == 0);
}

TEST_CASE("min_revision is waited for, by so many reads at a time, and no longer than allowed") {
  SimCluster cluster(7);
  cluster.add_node();
  cluster[0].config.options.revision_waiters_max = 1;
  REQUIRE(cluster.form(1));
  REQUIRE(cluster.wait(cluster.put(0, "k", "v")) == Code::kOk);
  const uint64_t revision = cluster[0].store_revision();
  LocalPtr waits = ask(cluster[0], node::Consistency::kStale, 0, revision + 1);
  CHECK_FALSE(waits->ended);
  CHECK(ask(cluster[0], node::Consistency::kStale, 0, revision + 1)->code == Code::kBusy);
  REQUIRE(cluster.wait(cluster.put(0, "k", "w")) == Code::kOk);
  CHECK(cluster.run_until([&] { return waits->ended; }));
  CHECK(waits->code == Code::kOk);
  LocalPtr never = ask(cluster[0], node::Consistency::kLinearizable, 0, revision + 50, 500);
  CHECK(cluster.run_until([&] { return never->ended; }));
  CHECK(never->code == Code::kTimeout);
  CHECK(never->reason == "revision_not_reached");
}

}  // namespace
}  // namespace kvstore::sim
