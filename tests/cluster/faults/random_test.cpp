// Goal: whatever breaks, for as long as it is broken and in whatever combination: histories stay
// linearizable, nothing acknowledged is lost, and service comes back.
// Method: clients record what they do while a nemesis breaks and mends processes, network, disks
// and clocks of real nodes; afterwards everything is mended, read through every node, and the
// history is judged.  The cases of CTest are short; scripts/soak runs "faults-at-random" for as
// long as asked.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include <doctest/doctest.h>

#include "faults/machine.hpp"
#include "faults/nemesis.hpp"
#include "support/history/json_lines.hpp"

namespace kvstore::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kDiskBytes = uint64_t{192} << 20;

std::string given(const char* variable, const std::string& otherwise) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) out.push_back(part);
  return out;
}

FaultClusterOptions options_for(std::vector<std::string> engines) {
  FaultClusterOptions options{.engines = std::move(engines)};
  const auto reason = no_loop_disk();
  if (reason) {
    std::cout << "LEFT OUT on this machine: power cuts, frozen and full disks: " << *reason
              << std::endl;
  } else {
    options.disk_bytes = kDiskBytes;
  }
  // Snapshots and compaction all the time.
  options.settings = {"raft.trailing_entries=500", "state_sync.interval_ms=500"};
  return options;
}

void print_longest(const char* what, const Workload& workload,
                   const std::vector<Interval>& excused) {
  const Interval longest = workload.longest_without_writes(excused);
  const auto in_seconds = [](Microseconds time) { return static_cast<double>(time) / 1e6; };
  std::cout << what << ": " << in_seconds(longest.end - longest.begin) << " s, from "
            << in_seconds(longest.begin) << " s on" << std::endl;
}

void print_summary(const Workload& workload, const Nemesis& nemesis) {
  std::cout << "operations: " << workload.operations() << "\n";
  for (const auto& [kind, count] : workload.counts()) {
    std::cout << "  " << kind << ": " << count.ok << " ok, " << count.not_done << " not done, "
              << count.unknown << " unknown\n";
  }
  std::cout << "errors:";
  for (const auto& [code, count] : workload.errors()) std::cout << " " << code << "=" << count;
  uint64_t sum = 0;
  for (const auto& [name, count] : nemesis.injected()) sum += count;
  std::cout << "\nfaults: " << sum << "\n ";
  for (const auto& [name, count] : nemesis.injected()) std::cout << " " << name << "=" << count;
  std::cout << "\n";
  print_longest("longest time without an acknowledged write", workload, {});
  print_longest("  not counting times without a majority or with a full disk", workload,
                nemesis.outages());
}

// Mends everything, reads everything through every node, judges the history.
void judge(FaultCluster& faults, Workload& workload) {
  const uint64_t before = workload.acknowledged_writes();
  faults.settle();
  const bool served =
      poll_until(kPatience, [&] { return workload.acknowledged_writes() > before + 50; });
  CHECK(served);
  workload.stop();
  for (size_t i = 0; i < faults.size(); ++i) {
    const std::string wrong = workload.verify(faults.cluster(), faults.node(i));
    CHECK_MESSAGE(wrong.empty(), faults.node(i).name() << ":\n" << wrong);
  }
  const auto verdict = workload.check();
  CHECK_MESSAGE(verdict, verdict.report);
  std::cout << "judged: " << verdict.operations << " operations on " << verdict.groups
            << " registers, every acknowledged entry read through " << faults.size()
            << " nodes: " << (test_failed() ? "VIOLATIONS (above)" : "no violation, nothing lost")
            << "\nhistory: " << workload.file().string() << (test_failed() ? "" : " (removed)")
            << std::endl;
}

void run_each_once(const std::string& name, const std::vector<std::string>& wanted,
                   FaultClusterOptions options) {
  FaultCluster faults(name, options);
  std::ofstream diary(faults.cluster().dir() / "diary.txt");
  WorkloadOptions load;
  load.clients = 6;
  Workload workload(faults.cluster(), faults.cluster().dir() / "history.jsonl", load);
  NemesisOptions how{.faults = wanted,
                     .hold_min = milliseconds(1200),
                     .hold_max = milliseconds(1500),
                     .rest_min = milliseconds(200),
                     .rest_max = milliseconds(400),
                     .diary = &diary};
  Nemesis nemesis(faults, workload, how);
  for (const std::string& fault : nemesis.names()) {
    // A node that is still on its way up takes no fault: once more then.
    for (int n = 0; n < 5 && nemesis.injected().count(fault) == 0; ++n) nemesis.round({fault});
  }
  for (const std::string& fault : nemesis.names()) {
    CAPTURE(fault);
    CHECK(nemesis.injected().count(fault) == 1);
  }
  judge(faults, workload);
  print_summary(workload, nemesis);
}

TEST_CASE("faults-of-processes") {
  run_each_once("process-faults", {"kill", "pause", "kill-loop", "restart"},
                {.engines = {"leveldb", "sqlite", "leveldb"}, .network = false});
}

TEST_CASE("faults-of-the-network") {
  run_each_once(
      "network-faults",
      {"partition", "isolate", "one-way", "bridge", "majorities-ring", "slow-network", "flapping"},
      {.engines = {"leveldb", "leveldb", "leveldb", "sqlite", "sqlite"}});
}

TEST_CASE("faults-of-disks") {
  run_each_once("disk-faults",
                {"stalled-disk", "slow-disk", "sync-error", "write-error", "short-writes"},
                {.engines = {"leveldb", "sqlite", "leveldb"}, .network = false});
}

TEST_CASE("faults-of-loop-disks") {
  KVS_NEEDS(no_loop_disk());
  FaultClusterOptions options = options_for({"leveldb", "sqlite", "sqlite"});
  options.network = false;
  run_each_once("loop-disk-faults", {"power-cut", "frozen-disk", "full-disk"}, options);
}

TEST_CASE("faults-of-clocks") {
  run_each_once("clock-faults", {"clock-jump", "clock-speed"},
                {.engines = {"leveldb", "sqlite", "leveldb"}, .network = false});
}

// Planned work on a live cluster: every node is restarted, then every node is moved to the other
// engine, one after the other, under load.
TEST_CASE("rolling-restart-and-change-of-engines") {
  FaultCluster faults("rolling", {.engines = {"leveldb", "leveldb", "leveldb"}, .network = false});
  Cluster& cluster = faults.cluster();
  Workload workload(cluster, cluster.dir() / "history.jsonl");
  const auto wait_for_writes = [&] {
    const uint64_t target = workload.acknowledged_writes() + 50;
    cluster.wait_until("writes", [&] { return workload.acknowledged_writes() >= target; });
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    CHECK(faults.node(i).stop() == 0);
    faults.node(i).start();
    cluster.wait_caught_up({&faults.node(i)});
    wait_for_writes();
  }
  for (size_t i = 0; i < faults.size(); ++i) {
    Node& node = faults.node(i);
    const auto removed = cluster.client(seconds(20)).remove_member(node.name(), false);
    REQUIRE_MESSAGE(removed, removed.error().message);
    node.stop();
    node.wipe();
    node.set_engine("sqlite");
    node.set_flags({"--peers", faults.node((i + 1) % faults.size()).raft_address()});
    node.start();
    cluster.admit(node);
    cluster.wait_caught_up({&node});
    wait_for_writes();
  }
  judge(faults, workload);
  print_longest("longest time without an acknowledged write", workload, {});
}

// KVS_SOAK_SECONDS, KVS_SOAK_SEED, KVS_SOAK_ENGINES (a comma between two), KVS_SOAK_FAULTS and
// KVS_SOAK_DIARY (a file).
TEST_CASE("faults-at-random") {
  const uint64_t seed = std::stoull(given("KVS_SOAK_SEED", "1"));
  const seconds time(std::stoul(given("KVS_SOAK_SECONDS", "10")));
  FaultCluster faults(
      "soak",
      options_for(split(given("KVS_SOAK_ENGINES", "leveldb,sqlite,leveldb,sqlite,leveldb"))));
  std::ofstream diary(given("KVS_SOAK_DIARY", faults.cluster().dir() / "diary.txt"));
  WorkloadOptions load;
  load.seed = seed;
  Workload workload(faults.cluster(), faults.cluster().dir() / "history.jsonl", load);
  Nemesis nemesis(faults, workload,
                  {.seed = seed, .faults = split(given("KVS_SOAK_FAULTS", "")), .diary = &diary});
  nemesis.run_for(time);
  judge(faults, workload);
  std::cout << "seed " << seed << ", " << time.count() << " s\n";
  print_summary(workload, nemesis);
}

// KVS_HISTORY: judges a stored history again.
TEST_CASE("judge-a-stored-history") {
  const std::string file = given("KVS_HISTORY", "");
  if (file.empty()) {
    note_skipped("no history is given in KVS_HISTORY");
    return;
  }
  std::ifstream in(file);
  REQUIRE_MESSAGE(in, file << " cannot be read");
  const auto stored = history::read_json_lines(in);
  REQUIRE_MESSAGE(stored, stored.status().message());
  const auto verdict = history::check(*stored, {.steps_max = 50'000'000});
  CHECK_MESSAGE(verdict, verdict.report);
  std::cout << verdict.operations << " operations on " << verdict.groups << " groups of keys"
            << std::endl;
}

// A cluster on disks that lie about syncs has to lose data in a power cut of all nodes, and the
// checks have to see it: otherwise they would show nothing in the other cases.
TEST_CASE("disks-that-lie-are-caught") {
  KVS_NEEDS(no_loop_disk());
  FaultClusterOptions options = options_for({"leveldb", "leveldb", "leveldb"});
  options.network = false;
  FaultCluster faults("lying-disks", options);
  Workload workload(faults.cluster(), faults.cluster().dir() / "history.jsonl");
  faults.cluster().wait_until("writes", [&] { return workload.acknowledged_writes() > 50; });
  for (size_t i = 0; i < 3; ++i) faults.io(i).pretend_syncs(true);
  const uint64_t before = workload.acknowledged_writes();
  faults.cluster().wait_until("writes",
                              [&] { return workload.acknowledged_writes() > before + 200; });
  faults.cut_power({0, 1, 2});
  faults.heal();
  // Nodes that notice at once that their disks lost something are as good as a check that does.
  const bool up = poll_until(seconds(10), [&] { return faults.find_leader().has_value(); });
  workload.stop();
  if (!up) return;
  std::string wrong;
  for (size_t i = 0; i < 3 && wrong.empty(); ++i) {
    wrong = workload.verify(faults.cluster(), faults.node(i));
  }
  const auto verdict = workload.check();
  CHECK(contains(wrong, "acknowledged but lost"));
  CHECK(verdict.verdict == history::Verdict::kViolation);
}

}  // namespace
}  // namespace kvstore::test
