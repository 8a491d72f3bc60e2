// Goal: what the design promises while a fault lasts: a leader that cannot write gives up its
// place, a full disk is answered and not endured, an old leader never answers from the past.
// Method: the fault is put on the leader of three real nodes while clients go on; nothing is mended
// before the promise was seen to hold.
#include <filesystem>
#include <functional>

#include <doctest/doctest.h>

#include "faults/fault_cluster.hpp"
#include "faults/machine.hpp"

namespace kvstore::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kReserve = uint64_t{16} << 20;

// Another node than `old` says that it leads.
size_t wait_for_other_leader(FaultCluster& faults, size_t old) {
  size_t found = old;
  faults.cluster().wait_until("another leader", [&] {
    for (size_t i = 0; i < faults.size(); ++i) {
      if (i == old || !faults.node(i).is_running()) continue;
      const auto status = faults.node(i).client(milliseconds(500)).status();
      if (status && status->leader == faults.node(i).name()) found = i;
    }
    return found != old;
  });
  return found;
}

void put_through(FaultCluster& faults, size_t node, const std::string& key,
                 const std::string& value) {
  auto client = faults.node(node).client(seconds(15));
  const bool done =
      poll_until(kPatience, [&] { return static_cast<bool>(client.put(key, value)); });
  CHECK_MESSAGE(done, "no put through " << faults.node(node).name());
}

void stall_leader(FaultCluster& faults, const std::function<void(size_t)>& stall,
                  const std::function<void(size_t)>& mend) {
  faults.cluster().put("k", "before");
  const size_t old = faults.index_of(faults.cluster().leader());
  stall(old);
  // A write is what the disk stalls on; its outcome is open.
  (void)faults.node(old).client(milliseconds(200)).put("stuck", "?");
  const size_t next = wait_for_other_leader(faults, old);
  put_through(faults, next, "k", "during");
  // The old one knows that it does not lead, and answers reads through the new leader or not at
  // all.
  const auto status = faults.node(old).client(seconds(2)).status();
  if (status) CHECK(status->leader != faults.node(old).name());
  const auto read = faults.node(old).client(seconds(2)).get("k");
  if (read) CHECK(read->item.value == "during");
  mend(old);
  faults.settle();
  CHECK(faults.cluster().get(faults.node(old), "k") == "during");
}

TEST_CASE("a-leader-with-a-stalled-disk-gives-way") {
  FaultCluster faults("stalled-leader",
                      {.engines = {"leveldb", "sqlite", "leveldb"}, .network = false});
  stall_leader(
      faults, [&](size_t i) { faults.io(i).stall(true); },
      [&](size_t i) {
        CHECK(faults.io(i).waiting() > 0);
        faults.io(i).stall(false);
      });
}

void stop_with_stalled(FaultCluster& faults, const std::filesystem::path& files,
                       const std::function<void(Node&)>& check_end) {
  Node& node = faults.node(0);
  faults.cluster().put("k", "before");
  faults.allow_end(0);
  faults.io(0).aim_at(files);
  faults.io(0).stall(true);
  (void)node.client(milliseconds(200)).put("stuck", "?");
  check_end(node);
  faults.settle();
  CHECK(faults.cluster().get(node, "k") == "before");
}

// A supervisor that stops a node whose disk stands still gets its end, and the reason where it can.
TEST_CASE("a-stop-on-a-stalled-disk-ends-and-says-why") {
  FaultCluster faults("stalled-stop", {.engines = {"leveldb"}, .network = false});
  SUBCASE("of the data") {
    stop_with_stalled(faults, faults.node(0).data_dir() / "", [](Node& node) {
      CHECK(node.stop() == 1);
      CHECK(contains(node.log(), "stopping took too long, exiting; it waited for the log thread"));
    });
  }
  SUBCASE("of the data and of the program's own words") {
    stop_with_stalled(faults, faults.node(0).data_dir().parent_path(),
                      [](Node& node) { CHECK(node.stop() == 1); });
  }
}

TEST_CASE("a-leader-with-a-frozen-file-system-gives-way") {
  KVS_NEEDS(no_loop_disk());
  FaultCluster faults("frozen-leader", {.engines = {"leveldb", "leveldb", "sqlite"},
                                        .network = false,
                                        .disk_bytes = uint64_t{128} << 20});
  stall_leader(
      faults, [&](size_t i) { faults.disk(i).freeze(); }, [&](size_t i) { faults.disk(i).thaw(); });
}

void fill_one(bool leader) {
  FaultCluster faults("full-disk", {.engines = {"leveldb", "sqlite", "leveldb"},
                                    .network = false,
                                    .disk_bytes = uint64_t{128} << 20,
                                    .disk_reserve_bytes = kReserve});
  Cluster& cluster = faults.cluster();
  for (int i = 0; i < 20; ++i) cluster.put("k/" + std::to_string(i), "v");
  const size_t of_leader = faults.index_of(cluster.leader());
  const size_t full = leader ? of_leader : (of_leader + 1) % 3;
  faults.disk(full).fill(kReserve / 2);
  cluster.wait_until("the refusal", [&] {
    const auto answer = faults.node(of_leader).http("PUT", "/api/v1/kv/new", "value");
    return answer.status == 507 && contains(answer.body, R"("committed":"no")");
  });
  // Through every node: writes are refused, reads and deletes go on, nobody has ended.
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(faults.node(i).name());
    CHECK(faults.node(i).http("PUT", "/api/v1/kv/new", "value").status == 507);
    CHECK(faults.node(i).http("GET", "/api/v1/kv/k/10").status == 200);
    CHECK(faults.node(i).http("DELETE", "/api/v1/kv/k/" + std::to_string(i)).status == 200);
    CHECK(faults.node(i).is_running());
  }
  CHECK(cluster.read_all(faults.node(0), "k/").size() == 17);
  // Space comes back, and writes resume by themselves.
  faults.disk(full).free_space();
  cluster.wait_until("writes to resume", [&] {
    return faults.node(full).http("PUT", "/api/v1/kv/new", "value").status == 200;
  });
  for (size_t i = 0; i < 3; ++i) CHECK(cluster.get(faults.node(i), "new") == "value");
}

TEST_CASE("a-full-disk-of-the-leader-is-507") {
  KVS_NEEDS(no_loop_disk());
  fill_one(true);
}
TEST_CASE("a-full-disk-of-a-follower-is-507") {
  KVS_NEEDS(no_loop_disk());
  fill_one(false);
}

// A sync that failed once is never repeated on the same handle: the node ends, others serve, and
// started again it has everything.
void sync_error(const std::string& engine) {
  FaultCluster faults("sync-error", {.engines = {engine, engine, engine}, .network = false});
  faults.cluster().put("k", "before");
  const size_t old = faults.index_of(faults.cluster().leader());
  faults.allow_end(old);
  faults.io(old).fail_syncs(EIO, 1);
  // Whoever is asked meanwhile: acknowledged means kept.
  const auto written = faults.node(old).client(seconds(5)).put("k", "with the error");
  CHECK(faults.node(old).wait_exit() > 0);
  CHECK(faults.io(old).seen().failed_syncs == 1);
  CHECK(contains(faults.node(old).log(), "stopped: io: "));
  const size_t next = wait_for_other_leader(faults, old);
  const auto read = faults.node(next).client(seconds(15)).get("k");
  REQUIRE_MESSAGE(read, read.error().message);
  if (written) CHECK(read->item.value == "with the error");
  put_through(faults, next, "k", "after");
  faults.settle();
  CHECK(faults.cluster().get(faults.node(old), "k") == "after");
}

TEST_CASE("a-failed-sync-ends-the-node-leveldb") {
  sync_error("leveldb");
}
TEST_CASE("a-failed-sync-ends-the-node-sqlite") {
  sync_error("sqlite");
}

// Readers that are pinned to the frozen leader ask again in the moment in which it wakes up.
TEST_CASE("a-woken-leader-answers-nothing-old") {
  FaultCluster faults("woken-leader",
                      {.engines = {"leveldb", "leveldb", "leveldb"}, .network = false});
  for (int round = 0; round < 3; ++round) {
    const std::string old_value = "old" + std::to_string(round);
    const std::string new_value = "new" + std::to_string(round);
    faults.cluster().put("k", old_value);
    const size_t old = faults.index_of(faults.cluster().leader());
    std::atomic<bool> written = false, stopping = false;
    std::atomic<int> fresh = 0, stale = 0;
    std::vector<std::thread> readers;
    for (int r = 0; r < 4; ++r) {
      readers.emplace_back([&] {
        auto client = faults.node(old).client(seconds(20));
        while (!stopping) {
          const bool after = written;  // before the read begins
          const auto read = client.get("k");
          if (!read || !after) continue;
          ++(read->item.value == new_value ? fresh : stale);
        }
      });
    }
    faults.node(old).pause();
    const size_t next = wait_for_other_leader(faults, old);
    put_through(faults, next, "k", new_value);
    written = true;
    // These begin while it is frozen, and are in its socket when it wakes up.
    std::this_thread::sleep_for(milliseconds(50));
    std::vector<std::thread> waiting;
    for (int r = 0; r < 8; ++r) {
      waiting.emplace_back([&] {
        const auto read = faults.node(old).client(seconds(20)).get("k");
        if (read) ++(read->item.value == new_value ? fresh : stale);
      });
    }
    std::this_thread::sleep_for(milliseconds(100));
    faults.node(old).resume();
    for (auto& thread : waiting) thread.join();
    poll_until(kPatience, [&] { return fresh >= 12; });
    stopping = true;
    for (auto& thread : readers) thread.join();
    CHECK(stale == 0);
    CHECK(fresh >= 12);
  }
}

}  // namespace
}  // namespace kvstore::test
