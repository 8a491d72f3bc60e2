// Goal: a request travels one hop at most, is tried again only so often, ends at its deadline, and
// the leader takes so many requests of others at a time.
// Method: whole nodes on the simulated ports; a node is asked as the leader although it does not
// lead, for once and for as long as the asker cannot know better; a leader that cannot commit.
#include "kv/command_codec.hpp"
#include "sim_testing.hpp"
#include "wire/peer_codec.hpp"

namespace kvstore::sim {
namespace {

// How long core/node waits after a refusal before it asks again.
constexpr uint64_t kPauseMs = 50;

std::string put_command(const std::string& key, const std::string& value) {
  kv::Op op;
  op.range.key = key;
  op.value = value;
  kv::Txn txn;
  txn.then_ops.push_back(std::move(op));
  return kv::encode_command(kv::Command(std::move(txn)));
}

void send(SimCluster& cluster, size_t from, size_t to, std::string frame) {
  std::vector<wire::EncodedMessage> one(1);
  one[0].bytes = frame.size();
  one[0].parts.push_back(SharedBytes(std::move(frame)));
  REQUIRE(
      cluster.network.send(&cluster[from], cluster[to].id(), node::Lane::kClient, std::move(one)));
}

uint64_t forwarded(SimCluster& cluster, size_t i) {
  return cluster[i].node().counters().forwarded;
}

// The one that is neither.
size_t third(size_t a, size_t b) {
  return 3 - a - b;
}

}  // namespace

TEST_CASE("a follower that is asked as the leader does not pass the request on") {
  SimCluster cluster(11);
  REQUIRE(cluster.form(3));
  const size_t leader = *cluster.leader(), asked = *cluster.some_follower();
  const size_t asker = third(leader, asked);
  const uint64_t before = forwarded(cluster, asked), served = forwarded(cluster, asker);
  wire::ForwardRequest request;
  request.request = 1;
  request.timeout_ms = 2'000;
  request.command = SharedBytes(put_command("k", "v"));
  send(cluster, asker, asked, wire::encode(request));
  for (const char* verb : {"lease.list", "cluster.progress", "admin.compact"}) {
    send(cluster, asker, asked, wire::encode(wire::ControlRequest{2, 2'000, verb, "{}"}));
  }
  cluster.run_for(4 * kSecond);
  CHECK(forwarded(cluster, asked) == before);
  CHECK(forwarded(cluster, asker) == served);
  CHECK(cluster[asked].node().forwarded_requests() == 0);
  for (size_t i = 0; i < 3; ++i) CHECK_FALSE(cluster[i].local_value("k"));
}

// The asker hears only the node that it takes for the leader, which has a leader to name.
TEST_CASE("who asks a node that does not lead any more asks seldom, and the request ends in time") {
  uint64_t asked_at_all = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    SimCluster cluster(seed);
    REQUIRE(cluster.form(3));
    const size_t old = *cluster.leader(), next = *cluster.some_follower();
    const size_t asker = third(old, next);
    cluster.network.cut(cluster[asker].config.address, cluster[next].config.address);
    ControlCallPtr transfer = cluster.control(old, "cluster.transfer",
                                              R"({"node_id":")" + cluster[next].name() + R"("})");
    REQUIRE(cluster.wait(transfer) == Code::kOk);
    const uint64_t before = forwarded(cluster, asker), others = forwarded(cluster, old);
    constexpr uint64_t kTimeoutMs = 1'000;
    WritePtr write = cluster.put(asker, "k", "v", kTimeoutMs);
    const uint64_t began_us = cluster.world.now_us();
    const Code code = cluster.wait(write);
    // Once the asker has unseated the new leader it may be done after all.
    CHECK((code == Code::kUnreachable || code == Code::kIndeterminate || code == Code::kOk));
    CHECK(cluster.world.now_us() - began_us <= (kTimeoutMs + 200) * kMs);
    const uint64_t tries = forwarded(cluster, asker) - before;
    CHECK(tries <= kTimeoutMs / kPauseMs + 2);
    asked_at_all += tries;
    CHECK(forwarded(cluster, old) == others);
  }
  CHECK(asked_at_all > 0);
}

TEST_CASE("a leader serves so many requests of others at a time, and so many bytes of them") {
  for (const bool by_bytes : {false, true}) {
    CAPTURE(by_bytes);
    SimCluster cluster(by_bytes ? 31 : 30);
    for (size_t i = 0; i < 3; ++i) {
      cluster.add_node();
      if (by_bytes) cluster[i].config.options.forwarded_bytes_max = 4'000;
      if (!by_bytes) cluster[i].config.options.forwarded_requests_max = 4;
    }
    REQUIRE(cluster.form(3));
    const size_t leader = *cluster.leader(), asker = *cluster.some_follower();
    // Nothing is committed while both others write nothing to their disks.
    for (size_t i = 0; i < 3; ++i) {
      if (i != leader) cluster[i].disk_faults.stalled_until_us = cluster.world.now_us() + kSecond;
    }
    std::vector<WritePtr> writes;
    for (int i = 0; i < 10; ++i) {
      writes.push_back(cluster.put(asker, "k" + std::to_string(i), std::string(900, 'x')));
    }
    cluster.run_for(500 * kMs);
    REQUIRE(cluster.leader() == leader);
    CHECK(cluster[leader].node().forwarded_requests() == 4);
    size_t busy = 0, open = 0;
    for (const WritePtr& write : writes) {
      open += write->outcome ? 0 : 1;
      busy += write->outcome && write->outcome->code == Code::kBusy &&
                      write->outcome->committed == node::Committed::kNo
                  ? 1
                  : 0;
    }
    CHECK(open == 4);
    CHECK(busy == 6);
    for (const WritePtr& write : writes) {
      if (!write->outcome) CHECK(cluster.wait(write) == Code::kOk);
    }
    // The places are given back.
    CHECK(cluster.run_until([&] { return cluster[leader].node().forwarded_requests() == 0; }));
    CHECK(cluster.wait(cluster.put(asker, "k", "v")) == Code::kOk);
  }
}

}  // namespace kvstore::sim
