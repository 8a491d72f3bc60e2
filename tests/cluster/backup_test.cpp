// Goal: what people take away from a cluster under load begins a new cluster with all that it held,
// on another engine, and a start that dies on the way does no harm. Method: server processes and
// the real kvstore-client; keys of all sorts are compared, and a restoring start is killed in the
// place of each of its syncs in turn.
#include <csignal>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "client_program.hpp"
#include "support/cluster.hpp"
#include "support/io_faults/io_faults.hpp"

namespace kvstore::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNobody = "http://127.0.0.1:1";  // of commands that need no server

std::string body_of(Node& node, const std::string& target) {
  const HttpAnswer answer = node.http("GET", "/api/v1" + target);
  return answer.status == 200 ? answer.body : std::to_string(answer.status) + " " + answer.body;
}

struct Written {
  uint64_t lease = 0;
  uint64_t counter = 0;  // mod_revision
};

// Revisions 1 to 10.
Written write_all_sorts(Cluster& cluster) {
  Written out;
  client::Client client = cluster.client();
  cluster.put("plain", "1");                                                 // 1
  cluster.put("plain", "2");                                                 // 2
  cluster.put("gone", "x");                                                  // 3
  REQUIRE(client.del("gone"));                                               // 4
  REQUIRE(client.put("large", pattern(2'500'000, 7)));                       // 5
  REQUIRE(client.put("large", pattern(1'100'000, 8)));                       // 6
  REQUIRE(client.put(std::string("bytes\0\xff", 7), std::string(3, '\0')));  // 7
  const auto lease = client.grant_lease(std::chrono::minutes(10));
  REQUIRE(lease);
  out.lease = lease->id;
  client::Lifetime lifetime;
  lifetime.lease = lease->id;
  REQUIRE(client.put("leased", "l", {}, lifetime));  // 8
  lifetime = {};
  lifetime.ttl = std::chrono::hours(1);
  REQUIRE(client.put("timed", "t", {}, lifetime));  // 9
  const auto counter = client.put("counter", "0");  // 10
  REQUIRE(counter);
  out.counter = counter->revision;
  return out;
}

void check_all_sorts(Node& node, const Written& written) {
  CAPTURE(node.name());
  CHECK(body_of(node, "/kv/plain?raw=true") == "2");
  CHECK(body_of(node, "/kv/plain?raw=true&revision=1") == "1");
  CHECK(body_of(node, "/kv/gone?raw=true&revision=3") == "x");
  CHECK(contains(body_of(node, "/kv/gone"), "404"));
  CHECK((body_of(node, "/kv/large?raw=true") == pattern(1'100'000, 8)));
  CHECK((body_of(node, "/kv/large?raw=true&revision=5") == pattern(2'500'000, 7)));
  CHECK(body_of(node, "/kv/bytes%00%ff?raw=true") == std::string(3, '\0'));
  CHECK(contains(body_of(node, "/kv/timed"), "\"ttl_ms\":3600000"));
  const std::string plain = body_of(node, "/kv/plain");
  CHECK(contains(plain, R"("create_revision":1,"mod_revision":2,"version":2)"));
  const auto lease = node.client().get_lease(written.lease);
  REQUIRE(lease);
  CHECK(lease->keys == std::vector<std::string>{"leased"});
  CHECK(lease->remaining > std::chrono::minutes(9));
}

// A one-node cluster with a little in it gives its state away.
fs::path small_backup(Cluster& cluster) {
  cluster.boot(1);
  cluster.put("k", "v");
  cluster.put("k", "w");
  const fs::path file = cluster.dir() / "small.snapshot";
  const Output saved = run_client(cluster[0], "snapshot save " + file.string());
  REQUIRE_MESSAGE(saved.code == 0, saved.text);
  CHECK(cluster[0].stop() == 0);
  return file;
}

std::string restore_command(const fs::path& file, const Node& node) {
  return "snapshot restore " + file.string() + " --data-dir " + node.data_dir().string();
}

}  // namespace

TEST_CASE("a-backup-begins-a-new-cluster") {
  Cluster cluster("backup");
  cluster.boot(3);
  const Written written = write_all_sorts(cluster);
  const auto before = cluster.leader().client().status();
  REQUIRE(before);
  Node& follower = cluster.leader().name() == "node1" ? cluster[1] : cluster[0];
  const fs::path file = cluster.dir() / "state.snapshot";

  Load load(cluster, "load/", 2);
  cluster.wait_until("writes", [&] { return load.acknowledged_count() > 50; });
  const uint64_t acknowledged = load.acknowledged_count();
  const Output saved = run_client(follower, "snapshot save " + file.string());
  REQUIRE_MESSAGE(saved.code == 0, saved.text);
  CHECK(saved.text.rfind("OK revision ", 0) == 0);
  cluster.wait_until("more writes", [&] { return load.acknowledged_count() > acknowledged + 50; });
  load.stop();
  CHECK(run_client(follower, "snapshot save " + file.string()).code == 5);  // it exists
  CHECK(contains(follower.http("POST", "/api/v1/admin/snapshot").body, "\"first_index\""));

  const Output shown = run_client(kNobody, "snapshot status --format json " + file.string());
  CAPTURE(shown.text);
  CHECK(shown.code == 0);
  CHECK(contains(shown.text, before->cluster_id));
  CHECK(contains(shown.text, "\"node_id\": \"" + follower.name() + "\""));
  CHECK(contains(run_client(kNobody, "snapshot status " + file.string()).text, "node3"));

  // A node without a leader gives what it has, if it is asked for that by name.
  for (size_t i = 0; i < 3; ++i) {
    if (cluster[i].name() != follower.name()) cluster[i].kill();
  }
  const std::string last = (cluster.dir() / "last.snapshot").string();
  CHECK(run_client(follower, "snapshot save --timeout 1s " + last).code == 3);
  CHECK_FALSE(fs::exists(last));
  CHECK(run_client(follower, "snapshot save --consistency stale " + last).code == 0);
  CHECK(run_client(follower, "snapshot save --consistency stale - > " + last).code == 0);
  CHECK(run_client(kNobody, "snapshot status " + last).code == 0);
  follower.kill();

  Cluster restored("backup-restored");
  Node& first = restored.make_node("sqlite");
  const Output placed = run_client(kNobody, restore_command(file, first));
  REQUIRE_MESSAGE(placed.code == 0, placed.text);
  CHECK(run_client(kNobody, restore_command(file, first)).code == 5);  // it is placed
  CHECK(run_client(kNobody, restore_command(file, first) + " --force").code == 0);
  first.set_flags({"--bootstrap"});
  first.start();
  restored.wait_healthy(first);
  check_all_sorts(first, written);
  CHECK(restored.read_all(first, "load/").size() >= acknowledged);
  const auto after = first.client().status();
  REQUIRE(after);
  CHECK(after->cluster_id != before->cluster_id);
  CHECK(after->members.size() == 1);
  CHECK(contains(shown.text, "\"revision\": " + std::to_string(after->revision) + ","));

  client::Client client = restored.client();
  client::Condition unchanged;
  unchanged.mod_revision = written.counter;
  const auto swapped = client.put("counter", "1", unchanged);
  REQUIRE(swapped);
  CHECK(swapped->revision == after->revision + 1);
  CHECK_FALSE(client.put("counter", "2", unchanged));

  Node& second = restored.make_node("leveldb");
  second.set_flags({"--peers", first.raft_address()});
  second.start();
  restored.admit(second);
  restored.wait_caught_up({&first, &second});
  check_all_sorts(second, written);
  CHECK(restored.get(second, "counter") == "1");
  CHECK(contains(restored.leader().http("GET", "/api/v1/admin/hash").body, R"("agree":true)"));
  const Output refused = run_client(kNobody, restore_command(file, first) + " --force");
  CHECK(refused.code == 5);
  CHECK(contains(refused.text, "belongs to a cluster"));

  // The same flags again, with --bootstrap, are an ordinary start.
  CHECK(first.stop() == 0);
  first.start();
  restored.wait_healthy(first);
  CHECK(restored.get(first, "counter") == "1");
}

TEST_CASE("a-crash-at-any-step-of-a-restoring-start") {
  Cluster cluster("restore-crash");
  const fs::path file = small_backup(cluster);
  Node& node = cluster.make_node("leveldb", "again");
  node.set("state.plugin=storage-sqlite");  // the log stays with LevelDB
  node.set_flags({"--bootstrap"});
  IoFaults faults(cluster.dir() / "again.faults");
  node.set_environment("LD_PRELOAD", IoFaults::library());
  node.set_environment(KVS_IO_FAULTS_ENV, faults.file());
  node.set_environment("ASAN_OPTIONS", "verify_asan_link_order=0");

  int kills = 0;
  bool served = false;
  for (int64_t nth = 1; !served && nth < 200; ++nth) {
    CAPTURE(nth);
    node.set_data_dir(cluster.dir() / ("again-" + std::to_string(nth)));
    const fs::path placed = node.data_dir() / "restore.snapshot";
    const Output restored = run_client(kNobody, restore_command(file, node));
    REQUIRE_MESSAGE(restored.code == 0, restored.text);
    faults.aim_at(node.data_dir());
    faults.kill_at_sync(nth);
    node.start();
    const auto serves = [&] { return node.http("GET", "/readyz").status == 200; };
    cluster.wait_until("its end, or service", [&] {
      served = serves();
      return served || !node.is_running();
    });
    faults.clear();
    // It may also have died after it served.
    if (node.http("GET", "/livez").status != 200) {
      ++kills;
      cluster.wait_until("its end", [&] { return !node.is_running(); });
      CHECK(node.last_exit() == -SIGKILL);
      // As it was, or a cluster.
      CHECK((fs::exists(placed) || fs::exists(node.data_dir() / "node.json")));
      node.start();
      cluster.wait_healthy(node);
    }
    CHECK(cluster.get(node, "k") == "w");
    CHECK(body_of(node, "/kv/k?raw=true&revision=1") == "v");
    CHECK_FALSE(fs::exists(placed));
    node.kill();
    fs::remove_all(node.data_dir());
  }
  CHECK(served);
  MESSAGE(kills << " crashes");
  CHECK(kills >= 8);
}

}  // namespace kvstore::test
