// Goal: over real HTTP, keys with a TTL or a lease go soon after their time and never early, also
// when the leader dies or the state comes from a snapshot or a restart. Method: server processes;
// each key's end is polled, and counted from when the request that gave it its time was sent.  How
// late the ends were is printed; that they come within a second is asserted in virtual time
// (tests/node/lease_cluster_test.cpp).
#include <algorithm>
#include <optional>

#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

milliseconds since(Clock::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
}

struct Timed {
  std::string key;
  Clock::time_point sent;
  milliseconds ttl;
  std::optional<milliseconds> gone;  // after it was sent
};

client::Lifetime ttl_of(milliseconds ttl) {
  client::Lifetime lifetime;
  lifetime.ttl = ttl;
  return lifetime;
}
client::Lifetime lease_of(uint64_t lease) {
  client::Lifetime lifetime;
  lifetime.lease = lease;
  return lifetime;
}

bool exists(client::Client& client, const std::string& key) {
  const auto got = client.get(key);
  if (got) return true;
  CHECK_MESSAGE(got.error().kind == client::ErrorKind::kNotFound, got.error().message);
  return false;
}

// Polls until all are gone; none may be gone before its time.
void watch(client::Client& client, std::vector<Timed>* keys) {
  const auto begin = Clock::now();
  for (size_t left = keys->size(); left > 0 && since(begin) < kPatience;) {
    for (Timed& timed : *keys) {
      if (timed.gone || exists(client, timed.key)) continue;
      timed.gone = since(timed.sent);
      --left;
      CAPTURE(timed.key);
      CHECK(timed.gone->count() >= timed.ttl.count());
    }
    std::this_thread::sleep_for(milliseconds(10));
  }
}

void say_lateness(const std::vector<Timed>& keys) {
  std::vector<int64_t> late;
  for (const Timed& timed : keys) {
    REQUIRE_MESSAGE(timed.gone.has_value(), timed.key);
    late.push_back((*timed.gone - timed.ttl).count());
  }
  std::sort(late.begin(), late.end());
  MESSAGE("late by " << late.front() << ".." << late.back() << " ms, median "
                     << late[late.size() / 2] << " ms");
}

TEST_CASE("leases-and-ttls-end-in-time") {
  Cluster cluster("leases-and-ttls-end-in-time");
  cluster.boot(3);
  auto client = cluster.client();
  std::vector<Timed> keys;
  for (int i = 0; i < 20; ++i) {
    // None ends before it is watched.
    Timed timed{"ttl" + std::to_string(i), Clock::now(), milliseconds(3'000 + 100 * i), {}};
    REQUIRE(client.put(timed.key, "v", {}, ttl_of(timed.ttl)));
    keys.push_back(timed);
  }
  // Kept alive twice through a follower, so that it lives for longer than its time.
  Timed leased{"leased", Clock::now(), milliseconds(2'000), {}};
  const auto lease = client.grant_lease(leased.ttl);
  REQUIRE(lease);
  REQUIRE(client.put(leased.key, std::string(2 << 20, 'v'), {}, lease_of(lease->id)));
  Node& follower = &cluster.leader() == &cluster[0] ? cluster[1] : cluster[0];
  auto through_follower = follower.client();
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(milliseconds(1'000));
    const auto sent = Clock::now();
    if (through_follower.keep_alive(lease->id)) leased.sent = sent;
  }
  keys.push_back(leased);
  // Overwritten without a TTL it stays.
  REQUIRE(client.put("stays", "v", {}, ttl_of(milliseconds(500))));
  REQUIRE(client.put("stays", "w"));
  watch(client, &keys);
  say_lateness(keys);
  CHECK(exists(client, "stays"));
  CHECK_FALSE(client.keep_alive(lease->id));
  CHECK(client.list_leases()->leases.empty());
}

TEST_CASE("leases-survive-failover-restart-and-snapshot") {
  Cluster cluster("leases-survive-failover-restart-and-snapshot");
  for (size_t i = 0; i < 3; ++i) {
    Node& node = cluster.make_node(i == 2 ? "sqlite" : "leveldb");
    node.set("raft.trailing_entries=5");
    node.set("raft.trailing_bytes=1000");
    node.set("state_sync.interval_ms=100");
  }
  cluster.boot();
  Node& late = cluster[2];
  const auto before = late.client().status();
  REQUIRE(before);
  late.kill();
  auto client = cluster.client();
  const milliseconds ttl(15'000);
  REQUIRE(client.grant_lease(ttl, 77));
  REQUIRE(client.put("leased", "v", {}, lease_of(77)));
  Timed own{"own", Clock::now(), ttl, {}};
  REQUIRE(client.put(own.key, "v", {}, ttl_of(ttl)));
  for (int i = 0; i < 100; ++i) cluster.put("k" + std::to_string(i), "v");
  cluster.wait_until("the log to be compacted beyond what the late node has", [&] {
    const auto status = cluster.leader().client().status();
    return status && status->first_index > before->last_index + 1;
  });
  late.start();
  cluster.wait_caught_up({&late});
  const Timed leased{"leased", Clock::now(), ttl, {}};
  REQUIRE(client.keep_alive(77));
  // All of them end at once, and the one that has its leases from a snapshot is to lead.
  for (size_t i = 0; i < 3; ++i) cluster[i].kill();
  for (size_t i = 0; i < 3; ++i) cluster[i].start();
  cluster.wait_for_leader();
  REQUIRE(client.transfer_leader(late.name()));
  const auto seen = client.get_lease(77);
  REQUIRE(seen);
  CHECK(seen->ttl == ttl);
  CHECK(seen->keys == std::vector<std::string>{"leased"});
  std::vector<Timed> keys = {own, leased};
  watch(client, &keys);
  for (const Timed& timed : keys) {
    CAPTURE(timed.key);
    CHECK(timed.gone.has_value());
  }
  const auto gone = client.keep_alive(77);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == "lease_not_found");
}

}  // namespace
}  // namespace kvstore::test
