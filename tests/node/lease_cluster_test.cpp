// Goal: keys go with their leases, within a second of their time and never early, through
// elections, restarts and snapshots, and the verbs of leases say so on any node. Method: simulated
// clusters in virtual time; moments at which keys vanish are compared with the moments at which
// requests were sent.
#include <algorithm>

#include "sim_testing.hpp"

namespace kvstore::sim {
namespace {

constexpr uint64_t kTtlMs = 2'000;

// Formed, with a leader.
struct Leases {
  SimCluster cluster;

  explicit Leases(uint64_t seed, uint64_t trailing_entries = 10) : cluster(seed) {
    constexpr size_t kNodes = 3;
    for (size_t i = 0; i < kNodes; ++i) {
      cluster.add_node();
      cluster[i].config.options.trailing_entries = trailing_entries;
      cluster[i].config.options.sync_interval_ms = 200;
    }
    REQUIRE(cluster.form(kNodes));
    REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  }

  nlohmann::json call(size_t node, const std::string& verb, const nlohmann::json& document) {
    ControlCallPtr call = cluster.control(node, verb, document.dump());
    REQUIRE_MESSAGE(cluster.wait(call) == Code::kOk, call->outcome->message);
    return json_of(call);
  }
  Code code_of(size_t node, const std::string& verb, const nlohmann::json& document) {
    return cluster.wait(cluster.control(node, verb, document.dump()));
  }
  uint64_t grant(size_t node, uint64_t ttl_ms = kTtlMs) {
    return call(node, "lease.grant", {{"ttl_ms", ttl_ms}})["id"];
  }
  void put(size_t node, const std::string& key, uint64_t lease, uint64_t ttl_ms = 0) {
    kv::Txn txn;
    kv::Op& op = txn.then_ops.emplace_back();
    op.range.key = key;
    op.value = "v";
    op.lease = lease;
    op.ttl_ms = ttl_ms;
    WritePtr write = cluster.propose(node, txn);
    REQUIRE(cluster.wait(write) == Code::kOk);
    // Where it is seen to vanish it was there.
    REQUIRE(cluster.run_until([&] { return everywhere(key); }));
  }
  bool everywhere(const std::string& key) {
    for (size_t i = 0; i < cluster.size(); ++i)
      if (cluster[i].running() && !cluster[i].local_value(key)) return false;
    return true;
  }
  bool anywhere_gone(const std::string& key) {
    for (size_t i = 0; i < cluster.size(); ++i)
      if (cluster[i].running() && !cluster[i].local_value(key)) return true;
    return false;
  }
  // When the key vanishes first.
  uint64_t gone_us(const std::string& key, uint64_t limit_us = 60 * kSecond) {
    REQUIRE(cluster.run_until([&] { return anywhere_gone(key); }, limit_us));
    return cluster.world.now_us();
  }
  size_t lead() { return *cluster.leader(); }
  size_t follower() { return *cluster.some_follower(); }
};

// `since_us`: when the call was sent that made or renewed it.
void check_time(uint64_t since_us, uint64_t gone_us, uint64_t ttl_ms) {
  CHECK(gone_us >= since_us + ttl_ms * kMs);
  CHECK(gone_us <= since_us + (ttl_ms + 1'000) * kMs);
}

TEST_CASE("keys go with their lease, TTLs by themselves, in time on every node") {
  Leases f(71);
  const uint64_t sent_us = f.cluster.world.now_us();
  const uint64_t id = f.grant(f.follower());
  f.put(f.follower(), "a", id);
  f.put(f.lead(), "b", id);
  const uint64_t ttl_us = f.cluster.world.now_us();
  f.put(f.follower(), "own", 0, 3 * kTtlMs);
  check_time(sent_us, f.gone_us("a"), kTtlMs);
  CHECK(f.anywhere_gone("b"));
  check_time(ttl_us, f.gone_us("own"), 3 * kTtlMs);
  REQUIRE(f.cluster.run_until([&] { return f.cluster.converged(); }));
  CHECK(f.cluster.states_agree());
  for (size_t i = 0; i < 3; ++i) CHECK_FALSE(f.cluster[i].local_value("a").has_value());
  CHECK(f.code_of(0, "lease.get", {{"id", id}}) == Code::kNotFound);
}

TEST_CASE("a lease lives as long as it is kept alive, over any node") {
  Leases f(72);
  const uint64_t id = f.grant(0);
  f.put(0, "a", id);
  uint64_t sent_us = 0;
  for (size_t i = 0; i < 10; ++i) {
    f.cluster.run_for((kTtlMs - 300) * kMs);
    sent_us = f.cluster.world.now_us();
    CHECK(f.call(i % 3, "lease.keepalive", {{"id", id}})["ttl_ms"] == kTtlMs);
    REQUIRE(f.everywhere("a"));
  }
  check_time(sent_us, f.gone_us("a"), kTtlMs);
  CHECK(f.code_of(1, "lease.keepalive", {{"id", id}}) == Code::kNotFound);
}

TEST_CASE("a new leader gives every lease its full time again") {
  Leases f(73);
  const uint64_t id = f.grant(0);
  f.put(0, "a", id);
  f.put(0, "own", 0, kTtlMs);
  f.cluster.run_for((kTtlMs - 500) * kMs);
  f.cluster.crash(f.lead());
  REQUIRE(f.cluster.wait_for_leader());
  const uint64_t elected_us = f.cluster.world.now_us();
  const uint64_t gone_us = f.gone_us("a");
  // It led a little before its first commit, from which `elected_us` is seen.
  CHECK(gone_us + 300 * kMs >= elected_us + kTtlMs * kMs);
  CHECK(gone_us <= elected_us + (kTtlMs + 1'000) * kMs);
  CHECK(f.gone_us("own") <= elected_us + (kTtlMs + 1'000) * kMs);
}

TEST_CASE("leases survive the restart of all and snapshots") {
  Leases f(74);
  const uint64_t id = f.grant(0, 5'000);
  f.put(0, "a", id);
  f.put(0, "own", 0, 5'000);
  const size_t behind = f.follower();
  f.cluster.crash(behind);
  for (int i = 0; i < 100; ++i)
    REQUIRE(f.cluster.wait(f.cluster.put(f.lead(), "k", std::to_string(i))) == Code::kOk);
  REQUIRE(f.cluster.run_until(
      [&] { return f.cluster[f.lead()].raft().log().base().index > raft::Index{60}; }));
  f.cluster[behind].start();
  REQUIRE(f.cluster.run_until([&] { return f.cluster.converged(); }));
  REQUIRE(f.cluster[behind].snapshots_received() >= 1);
  for (size_t i = 0; i < 3; ++i) f.cluster.crash(i, SimNode::Crash::kPower);
  f.cluster.run_for(10 * kSecond);
  for (size_t i = 0; i < 3; ++i) f.cluster[i].start();
  // The one that got the snapshot leads, and knows what it came with.
  REQUIRE(f.cluster.wait_for_leader());
  if (f.lead() != behind) {
    ControlCallPtr call = f.cluster.control(0, "cluster.transfer",
                                            R"({"node_id":")" + f.cluster[behind].name() + R"("})");
    REQUIRE(f.cluster.wait(call) == Code::kOk);
  }
  const uint64_t led_us = f.cluster.world.now_us();
  REQUIRE(f.cluster.run_until([&] { return f.everywhere("a"); }));
  CHECK(f.call(behind, "lease.get", {{"id", id}})["keys"][0]["key"] == "a");
  const uint64_t gone_us = f.gone_us("a");
  CHECK(gone_us + 300 * kMs >= led_us + 5'000 * kMs);
  CHECK(gone_us <= led_us + 6'000 * kMs);
  CHECK(f.gone_us("own") <= led_us + 6'000 * kMs);
}

TEST_CASE("a leader that was cut off ends nothing and keeps nothing alive") {
  Leases f(75);
  const uint64_t id = f.grant(0, 4'000);
  f.put(0, "a", id);
  const size_t old = f.lead();
  f.cluster.isolate(old);
  ControlCallPtr call =
      f.cluster.control(old, "lease.keepalive", nlohmann::json{{"id", id}}.dump(), 3'000);
  REQUIRE(f.cluster.run_until([&] { return f.cluster.leader() && f.lead() != old; }));
  const uint64_t elected_us = f.cluster.world.now_us();
  f.cluster.run_for(3'500 * kMs);
  REQUIRE(call->outcome.has_value());
  CHECK(call->outcome->code != Code::kOk);
  CHECK(f.everywhere("a"));  // also on the old leader, whose clock went on
  const size_t leads = f.lead();
  REQUIRE(f.cluster.run_until([&] { return !f.cluster[leads].local_value("a"); }));
  CHECK(f.cluster.world.now_us() <= elected_us + 5'000 * kMs);
  CHECK(f.cluster[old].local_value("a").has_value());
  f.cluster.network.heal();
  REQUIRE(f.cluster.run_until([&] { return f.cluster.converged(); }));
  CHECK_FALSE(f.cluster[old].local_value("a").has_value());
}

TEST_CASE("a keep-alive is not answered once the end is on its way") {
  Leases f(76, 10'000);  // a compaction of the log would end a stall
  const uint64_t id = f.grant(0);
  f.put(0, "a", id);
  const size_t leads = f.lead();
  // Nothing is committed any more, so that the end stays on its way; reads go on.
  for (size_t i = 0; i < 3; ++i) {
    if (i != leads)
      f.cluster[i].disk_faults.stalled_until_us = f.cluster.world.now_us() + 4 * kSecond;
  }
  f.cluster.run_for((kTtlMs + 500) * kMs);
  REQUIRE(f.cluster[leads].raft().role() == raft::Role::kLeader);
  REQUIRE(f.everywhere("a"));
  CHECK(f.code_of(leads, "lease.keepalive", {{"id", id}}) == Code::kNotFound);
  CHECK(f.everywhere("a"));
  REQUIRE(f.cluster.run_until([&] { return !f.cluster[leads].local_value("a"); }));
}

TEST_CASE("a lease with many keys is revoked in pieces, and all of them go") {
  Leases f(77);
  const uint64_t id = f.grant(0, 60'000);
  constexpr size_t kKeys = 3 * kv::kLeaseEndKeysMax + 500;
  for (size_t first = 0; first < kKeys; first += 100) {
    kv::Txn txn;
    for (size_t i = first; i < first + 100; ++i) {
      kv::Op& op = txn.then_ops.emplace_back();
      op.range.key = "k" + std::to_string(10'000 + i);
      op.lease = id;
    }
    REQUIRE(f.cluster.wait(f.cluster.propose(0, txn)) == Code::kOk);
  }
  const nlohmann::json seen = f.call(1, "lease.get", {{"id", id}});
  CHECK(seen["keys"].size() == 1'000);
  CHECK(seen["keys"][0]["key"] == "k10000");
  CHECK(seen["more_keys"] == true);
  CHECK(seen["ttl_ms"] == 60'000);
  CHECK(seen["remaining_ms"] <= 60'000);
  CHECK(seen["remaining_ms"] > 50'000);
  const nlohmann::json revoked = f.call(2, "lease.revoke", {{"id", id}});
  CHECK(revoked["revoked"] == true);
  CHECK(revoked["deleted"] == kKeys);
  REQUIRE(f.cluster.run_until([&] { return f.cluster.converged(); }));
  for (size_t i = 0; i < 3; ++i) CHECK(f.cluster[i].list("k").empty());
  CHECK(f.cluster.states_agree());
}

TEST_CASE("a lease with many keys ends in pieces that follow at once, and lets writes through") {
  Leases f(80);
  const uint64_t id = f.grant(0, 10'000);
  const uint64_t sent_us = f.cluster.world.now_us();
  constexpr size_t kPieces = 12;
  constexpr size_t kKeys = (kPieces - 1) * kv::kLeaseEndKeysMax + 500;
  for (size_t first = 0; first < kKeys; first += 500) {
    kv::Txn txn;
    for (size_t i = first; i < first + 500; ++i) {
      kv::Op& op = txn.then_ops.emplace_back();
      op.range.key = "k" + std::to_string(10'000 + i);
      op.lease = id;
    }
    REQUIRE(f.cluster.wait(f.cluster.propose(f.lead(), txn)) == Code::kOk);
  }
  REQUIRE(f.cluster.world.now_us() < sent_us + 9'000 * kMs);
  const size_t leads = f.lead();
  const auto gone = [&](size_t i) {
    return !f.cluster[leads].local_value("k" + std::to_string(10'000 + i));
  };
  REQUIRE(f.cluster.run_until([&] { return gone(0); }));
  const uint64_t begun_us = f.cluster.world.now_us();
  WritePtr write = f.cluster.put(leads, "other", "v");
  REQUIRE(f.cluster.wait(write) == Code::kOk);
  CHECK_FALSE(gone(kKeys - 1));
  REQUIRE(f.cluster.run_until([&] { return gone(kKeys - 1); }));
  // With a piece on each tick they would take longer.
  const uint64_t tick_us = f.cluster[leads].config.tick_us;
  CHECK(f.cluster.world.now_us() - begun_us < kPieces * tick_us / 2);
  CHECK(f.code_of(0, "lease.get", {{"id", id}}) == Code::kNotFound);
  REQUIRE(f.cluster.run_until([&] { return f.cluster.converged(); }));
  CHECK(f.cluster.states_agree());
  CHECK(f.cluster[leads].node().lease_clock().ended() == 1);
}

TEST_CASE("what becomes of leases is counted by the leader") {
  Leases f(81);
  const uint64_t id = f.grant(f.follower(), 60'000);
  CHECK(f.code_of(0, "lease.grant", {{"id", id}, {"ttl_ms", 60'000}}) == Code::kConflict);
  CHECK(f.code_of(0, "lease.grant", {{"ttl_ms", 1}}) == Code::kInvalid);
  CHECK(f.code_of(1, "lease.keepalive", {{"id", id}}) == Code::kOk);
  CHECK(f.code_of(2, "lease.keepalive", {{"id", id + 1}}) == Code::kNotFound);
  CHECK(f.code_of(2, "lease.get", {{"id", id + 1}}) == Code::kNotFound);
  CHECK(f.code_of(2, "lease.revoke", {{"id", id}}) == Code::kOk);
  const node::Counters& counters = f.cluster[f.lead()].node().counters();
  CHECK(counters.leases_granted == 1);
  CHECK(counters.leases_revoked == 1);
  CHECK(counters.lease_keepalives == 1);
  CHECK(counters.lease_refusals.exists == 1);
  CHECK(counters.lease_refusals.invalid == 1);
  CHECK(counters.lease_refusals.not_found == 2);
  CHECK(counters.lease_refusals.too_many == 0);
}

TEST_CASE("lists of leases, chosen ids, and what is refused") {
  Leases f(78);
  CHECK(f.call(1, "lease.grant", {{"id", 7}, {"ttl_ms", 60'000}})["id"] == 7);
  CHECK(f.code_of(0, "lease.grant", {{"id", 7}, {"ttl_ms", 60'000}}) == Code::kConflict);
  CHECK(f.code_of(0, "lease.grant", {{"ttl_ms", kv::kTtlMsMin - 1}}) == Code::kInvalid);
  CHECK(f.code_of(0, "lease.grant", {{"ttl_ms", kv::kTtlMsMax + 1}}) == Code::kInvalid);
  CHECK(f.code_of(0, "lease.grant", {{"ttl_ms", "10s"}}) == Code::kInvalid);
  CHECK(f.code_of(0, "lease.grant", {{"id", kv::kLeaseIdMax + 1}, {"ttl_ms", 60'000}}) ==
        Code::kInvalid);
  CHECK(f.code_of(0, "lease.revoke", {{"id", 8}}) == Code::kNotFound);
  CHECK(f.code_of(0, "lease.keepalive", {{"id", 0}}) == Code::kInvalid);
  CHECK(f.code_of(0, "lease.get", nlohmann::json::object()) == Code::kInvalid);
  CHECK(f.code_of(0, "lease.list", {{"limit", 1'001}}) == Code::kInvalid);
  CHECK(f.code_of(0, "lease.renew", {{"id", 7}}) == Code::kUnsupported);
  const uint64_t chosen = f.grant(2, 60'000);
  CHECK(chosen != 7);
  f.put(0, "own", 0, 60'000);
  const nlohmann::json list = f.call(2, "lease.list", nlohmann::json::object());
  CHECK(list["leases"].size() == 2);
  CHECK(list["leases"][0]["id"] == std::min<uint64_t>(7, chosen));
  CHECK(list["more"] == false);
  const nlohmann::json page = f.call(2, "lease.list", {{"limit", 1}});
  CHECK(page["leases"].size() == 1);
  CHECK(page["more"] == true);
  CHECK(f.call(2, "lease.list", {{"after", std::max<uint64_t>(7, chosen)}})["leases"].empty());
  ControlCallPtr missing = f.cluster.control(1, "lease.keepalive", R"({"id":9})");
  CHECK(f.cluster.wait(missing) == Code::kNotFound);
  CHECK(json_of(missing)["code"] == "lease_not_found");
}

TEST_CASE("thousands of leases that end together end in time") {
  Leases f(79);
  const uint64_t sent_us = f.cluster.world.now_us();
  std::vector<WritePtr> writes;
  for (uint64_t i = 0; i < 3'000; ++i) {
    kv::Txn txn;
    kv::Op& op = txn.then_ops.emplace_back();
    op.range.key = "t" + std::to_string(i);
    op.ttl_ms = 3'000;
    writes.push_back(f.cluster.propose(f.lead(), txn));
  }
  for (const WritePtr& write : writes) REQUIRE(f.cluster.wait(write) == Code::kOk);
  const uint64_t written_us = f.cluster.world.now_us();
  REQUIRE(f.cluster.run_until([&] { return f.cluster[0].list("t").size() < 3'000; }));
  CHECK(f.cluster.world.now_us() >= sent_us + 3'000 * kMs);
  REQUIRE(f.cluster.run_until([&] { return f.cluster[0].list("t").empty(); }));
  CHECK(f.cluster.world.now_us() <= written_us + 4'000 * kMs);
}

}  // namespace
}  // namespace kvstore::sim
