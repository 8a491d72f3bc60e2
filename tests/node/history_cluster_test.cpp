// Goal: every member keeps the same history, through snapshots, and gives it up alike.
// Method: simulated clusters; old revisions and changes are read from every member's state.
#include <algorithm>

#include "kv/change_reader.hpp"
#include "kv/reader.hpp"
#include "kv/system_records.hpp"
#include "sim_testing.hpp"

namespace kvstore::sim {
namespace {

constexpr uint64_t kKeys = 10;

kv::MachineRecord record_of(SimCluster& cluster, size_t node) {
  auto view = cluster[node].store().open_view();
  kv::MachineRecord record;
  Status s = (*view)->get(kv::kSpaceSystem, kv::kMachineKey,
                          [&](Bytes bytes) { record = *kv::decode_machine(bytes); });
  REQUIRE(s.is_ok());
  return record;
}

std::string value_at(SimCluster& cluster, size_t node, const std::string& key, uint64_t revision) {
  auto view = cluster[node].store().open_view();
  auto at = kv::resolve_revision(*kv::read_revisions(**view), revision);
  if (!at) return std::string(code_name(at.status().code()));
  std::string value = "(absent)";
  Status s = kv::read_item(**view, *at, key, [&](const kv::ItemView& item) {
    value = item.value;
    return true;
  });
  CHECK((s.is_ok() || s.code() == Code::kNotFound));
  return value;
}

uint64_t count_changes(SimCluster& cluster, size_t node, uint64_t from) {
  auto view = cluster[node].store().open_view();
  kv::ChangeOptions options;
  options.range.kind = kv::Range::Kind::kAll;
  auto read =
      kv::read_changes(**view, {from, 0}, options, [](const kv::ChangeView&) { return true; });
  REQUIRE_MESSAGE(read.is_ok(), read.status().to_string());
  return read->count;
}

// Revision r sets k<r % kKeys> to "v<r>".
void write(SimCluster& cluster, size_t node, uint64_t from, uint64_t count) {
  for (uint64_t r = from; r < from + count; ++r) {
    WritePtr call = cluster.put(node, "k" + std::to_string(r % kKeys), "v" + std::to_string(r));
    REQUIRE(cluster.wait(call) == Code::kOk);
    REQUIRE(call->outcome->result.revision == r);
  }
}

TEST_CASE("a node that got a snapshot has the whole history") {
  SimCluster cluster(51);
  for (size_t i = 0; i < 3; ++i) {
    cluster.add_node();
    cluster[i].config.options.trailing_entries = 10;
    cluster[i].config.options.sync_interval_ms = 200;
  }
  REQUIRE(cluster.form(3));
  const size_t behind = *cluster.some_follower();
  const size_t writer = behind == 0 ? 1 : 0;
  write(cluster, writer, 1, 30);
  cluster.crash(behind);
  write(cluster, writer, 31, 170);
  REQUIRE(cluster.run_until(
      [&] { return cluster[*cluster.leader()].raft().log().base().index > raft::Index{100}; }));
  cluster[behind].start();
  write(cluster, writer, 201, 20);
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  REQUIRE(cluster[behind].snapshots_received() >= 1);
  CHECK(cluster.states_agree());
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    CHECK(count_changes(cluster, i, 1) == 220);
    for (uint64_t r : {1, 29, 30, 31, 100, 200, 215}) {
      CAPTURE(r);
      CHECK(value_at(cluster, i, "k" + std::to_string(r % kKeys), r) == "v" + std::to_string(r));
      const uint64_t other = r + 1;  // of the round before
      CHECK(value_at(cluster, i, "k" + std::to_string(other % kKeys), r) ==
            (other > kKeys ? "v" + std::to_string(other - kKeys) : "(absent)"));
    }
  }
}

TEST_CASE("the leader gives old history up by itself, on every node") {
  SimCluster cluster(52);
  for (size_t i = 0; i < 3; ++i) {
    cluster.add_node();
    cluster[i].config.options.history = {50, 0, 1 << 20};
  }
  REQUIRE(cluster.form(3));
  write(cluster, 0, 1, 300);
  REQUIRE(cluster.run_until(
      [&] { return cluster.converged() && record_of(cluster, 0).compacted_revision == 250; }));
  REQUIRE(cluster.run_until([&] { return record_of(cluster, 0).oldest_change == 251; }));
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  CHECK(cluster.states_agree());
  for (size_t i = 0; i < 3; ++i) {
    CHECK(count_changes(cluster, i, 251) == 50);
    CHECK(value_at(cluster, i, "k9", 249) == "compacted");
    CHECK(value_at(cluster, i, "k9", 250) == "v249");
    CHECK(cluster[i].store().data().spaces[kv::kSpaceHistory].size() == 50);
  }
  // Idle: nothing more is proposed.
  const raft::Index last = cluster[0].raft().log().last().index;
  cluster.run_for(60 * kSecond);
  CHECK(cluster[0].raft().log().last().index == last);
}

TEST_CASE("history stays within its bytes, however young") {
  SimCluster cluster(53);
  cluster.add_node();
  cluster[0].config.options.history = {10'000, 3'600'000, 40'000};
  REQUIRE(cluster.form(1));
  uint64_t most = 0;
  for (uint64_t i = 0; i < 1'000; ++i) {
    REQUIRE(cluster.wait(cluster.put(0, "k" + std::to_string(i % 7), std::string(200, 'v'))) ==
            Code::kOk);
    most = std::max(most, record_of(cluster, 0).history_bytes);
  }
  CHECK(most > 35'000);
  CHECK(most < 45'000);
  CHECK(record_of(cluster, 0).compacted_revision > 800);
}

TEST_CASE("admin.compact works from any node, and says what it did") {
  SimCluster cluster(54);
  REQUIRE(cluster.form(3));
  write(cluster, 0, 1, 40);
  const size_t follower = *cluster.some_follower();
  ControlCallPtr call = cluster.control(follower, "admin.compact", R"({"revision": 30})");
  REQUIRE(cluster.wait(call) == Code::kOk);
  CHECK(json_of(call) ==
        nlohmann::json{
            {"compacted_revision", 30}, {"revision", 40}, {"removed", 30}, {"more", false}});
  REQUIRE(cluster.run_until([&] { return cluster.converged(); }));
  for (size_t i = 0; i < 3; ++i) {
    CHECK(value_at(cluster, i, "k5", 29) == "compacted");
    CHECK(value_at(cluster, i, "k5", 30) == "v25");
  }
  call = cluster.control(follower, "admin.compact", R"({"revision": 20})");
  REQUIRE(cluster.wait(call) == Code::kOk);
  CHECK(json_of(call)["compacted_revision"] == 30);
  call = cluster.control(follower, "admin.compact", R"({"revision": 41})");
  CHECK(cluster.wait(call) == Code::kInvalid);
  CHECK(json_of(call)["code"] == "future_revision");
  for (const char* bad : {"{}", R"({"revision": 0})", R"({"revision": -4})", "[]"}) {
    call = cluster.control(follower, "admin.compact", bad);
    CHECK(cluster.wait(call) == Code::kInvalid);
    CHECK(json_of(call)["code"] == "invalid_argument");
  }
}

}  // namespace
}  // namespace kvstore::sim
