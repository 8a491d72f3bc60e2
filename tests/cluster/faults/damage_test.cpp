// Goal: a node whose files are damaged, old or gone never serves wrong data, never takes the place
// of what it lost, never harms the others, and can be rebuilt from them. Method: one node of three
// is stopped, one of its files is damaged, and it is started again: it refuses and says why, or it
// works and has everything.  The other two go on writing meanwhile.
#include "faults/damage.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>

#include <doctest/doctest.h>
#include <signal.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

using Data = std::map<std::string, std::string>;

// A cluster of three with some data, of which the last node is going to suffer.
struct Patient {
  Cluster cluster;
  Data data;
  int rounds = 0;

  Patient(const std::string& name, const std::string& engine) : cluster(name) {
    for (int i = 0; i < 3; ++i) {
      Node& node = cluster.make_node(engine);
      node.set("state_sync.interval_ms=200");
      node.set("raft.trailing_entries=50");
      // Small enough for LevelDB to have table files, too.
      if (engine == "leveldb") node.set("storage.options.write_buffer_bytes=65536");
    }
    cluster.boot();
    for (int i = 0; i < 150; ++i) put("k/" + std::to_string(i), pattern(1500, 7));
    // In parts, and left out of lists.
    cluster.put("large", pattern(1'200'000, 5));
  }

  Node& node() { return cluster[2]; }
  fs::path aside() { return cluster.dir() / "aside"; }

  void put(const std::string& key, const std::string& value) {
    cluster.put(key, value);
    data[key] = value;
  }

  // What healthy nodes have to answer.
  void check_all() { check_first(3); }
  // Damage must not spread.
  void check_others() { check_first(2); }

  void check_first(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      if (!cluster[i].is_running()) continue;
      CAPTURE(cluster[i].name());
      CHECK((cluster.read_all(cluster[i], "k/") == data));
      CHECK((cluster.get(cluster[i], "large") == pattern(1'200'000, 5)));
    }
  }
};

enum class End { kRefused, kWorks, kLimbo };

// Waits until the node has ended or takes part again.  kLimbo: it runs, but says that it takes no
// part.
End outcome_of(Node& node) {
  End end = End::kLimbo;
  poll_until(seconds(15), [&] {
    if (!node.is_running()) {
      end = End::kRefused;
      return true;
    }
    const auto health = node.client(milliseconds(500)).health();
    if (health && health->ok) end = End::kWorks;
    return health && health->ok;
  });
  return end;
}

// The operator's way to a good node: remove it, empty its directory, add it again.
void rebuild(Patient& patient) {
  Node& node = patient.node();
  const auto removed = patient.cluster.client().remove_member(node.name(), false);
  REQUIRE_MESSAGE(removed, removed.error().message);
  node.kill();
  node.wipe();
  node.set_flags({"--peers", patient.cluster[0].raft_address()});
  node.start();
  patient.cluster.admit(node);
  patient.cluster.wait_caught_up({&node});
}

// Stopped by SIGKILL, it has write-ahead files of both stores.
void keep_copy(Patient& patient) {
  patient.node().kill();
  copy_tree(patient.node().data_dir(), patient.aside());
}

// With numbers left out: "state/leveldb-#/#.ldb".
std::string kind_of(const fs::path& file) {
  std::string out;
  for (const char c : file.string()) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) {
      out += c;
    } else if (out.empty() || out.back() != '#') {
      out += '#';
    }
  }
  return out;
}

// The files of the copy, one of each kind.
std::map<std::string, fs::path> victims(Patient& patient) {
  std::map<std::string, fs::path> out;
  for (const fs::path& file : files_below(patient.aside())) {
    const std::string kind = kind_of(file);
    if (!kind.ends_with("LOCK") && !kind.ends_with("-shm")) out[kind] = file;
  }
  return out;
}

// Damage may show when the place is read: then the node ends.  Never is the answer wrong.
void read_everything(Patient& patient) {
  Node& node = patient.node();
  auto client = node.client(seconds(20));
  Data found;
  client::ListOptions options;
  options.prefix = "k/";
  options.limit = 0;
  const auto listed = client.list(options, [&](const client::Item& item) {
    found[item.key] = item.value;
    return true;
  });
  const auto large = client.get("large");
  if (listed) CHECK((found == patient.data));
  if (large) CHECK((large->item.value == pattern(1'200'000, 5)));
  if (!large) CHECK(large.error().kind != client::ErrorKind::kNotFound);
  if (!listed || !large) CHECK(node.wait_exit() > 0);
}

End damage_one(Patient& patient, Damage damage, const fs::path& file) {
  Node& node = patient.node();
  const std::string what = name_of(damage) + " " + file.string();
  CAPTURE(what);
  copy_tree(patient.aside(), node.data_dir());
  inflict(damage, node.data_dir() / file);
  patient.put("k/round", std::to_string(patient.rounds++));
  const size_t said_before = node.log().size();
  node.start();
  const End end = outcome_of(node);
  patient.put("k/after", std::to_string(patient.rounds));
  if (end == End::kLimbo) {
    // It must not answer with what it cannot trust.
    CHECK_FALSE(node.client(seconds(1)).get("k/1"));
    node.kill();
  }
  if (end == End::kWorks) read_everything(patient);
  const std::string said = node.log().substr(said_before);
  CAPTURE(said);
  if (!node.is_running() && end != End::kLimbo) {
    // In an orderly way, with the place named.
    CHECK(node.last_exit() > 0);
    CHECK(contains(said, node.data_dir().string()));
  }
  patient.check_others();
  // A node that took part may have acknowledged what the copy does not have.
  if (contains(said, "ready api=")) {
    rebuild(patient);
    keep_copy(patient);
  }
  return end;
}

void damage_every_kind(const std::string& engine) {
  Patient patient("damage-" + engine, engine);
  patient.cluster.wait_caught_up({&patient.node()});
  keep_copy(patient);
  // In the short run each kind of file suffers in two ways, and every way happens.
  const bool all = std::getenv("KVS_DAMAGE_ALL") != nullptr;
  const size_t ways = std::size(kAllDamage), turns = all ? ways : 2;
  std::map<End, int> outcomes;
  size_t way = 0, done = 0;
  for (const auto& [kind, first] : victims(patient)) {
    for (size_t n = 0; n < turns; ++n, ++way) {
      const auto now = victims(patient);
      const auto file = now.find(kind);
      if (file == now.end()) continue;  // a rebuilt node may have one kind less
      // LevelDB itself does not notice that its list of tables was cut.
      const bool cut_list = n == 0 && contains(kind, "MANIFEST");
      const Damage damage = cut_list ? Damage::kTruncate : kAllDamage[way % ways];
      ++outcomes[damage_one(patient, damage, file->second)];
      ++done;
    }
    if (!all) ++way;
  }
  std::cout << done << " damages: " << outcomes[End::kRefused] << " ended the node, "
            << outcomes[End::kWorks] << " did not matter at once, " << outcomes[End::kLimbo]
            << " left it running without taking part" << std::endl;
  CHECK(outcomes[End::kRefused] > 0);
}

TEST_CASE("damaged-files-leveldb") {
  damage_every_kind("leveldb");
}
TEST_CASE("damaged-files-sqlite") {
  damage_every_kind("sqlite");
}

void rebuild_under_load(const std::string& engine) {
  Patient patient("rebuild-" + engine, engine);
  Node& node = patient.node();
  Load load(patient.cluster, "load/", 2);
  patient.cluster.wait_until("writes", [&] { return load.acknowledged_count() > 100; });
  node.kill();
  for (const fs::path& file : files_below(node.data_dir())) {
    inflict(Damage::kGarbage, node.data_dir() / file);
  }
  node.start();
  CHECK(node.wait_exit() > 0);
  rebuild(patient);
  load.stop();
  patient.check_all();
  for (size_t i = 0; i < 3; ++i) {
    load.verify(patient.cluster.read_all(patient.cluster[i], "load/"));
  }
  // It is as good as the others now: alone with one of them it keeps everything.
  patient.cluster[0].kill();
  patient.put("k/without-the-first", "v");
  patient.check_all();
}

TEST_CASE("rebuild-a-damaged-node-leveldb") {
  rebuild_under_load("leveldb");
}
TEST_CASE("rebuild-a-damaged-node-sqlite") {
  rebuild_under_load("sqlite");
}

// What an interrupted install of a snapshot leaves is no state, whatever is in it.
void leftovers(const std::string& engine) {
  Patient patient("leftovers-" + engine, engine);
  Node& node = patient.node();
  patient.cluster.wait_caught_up({&node});
  node.kill();
  const fs::path state = node.data_dir() / "state";
  fs::path current;
  for (const auto& entry : fs::directory_iterator(state)) {
    if (entry.is_directory()) current = entry.path();
  }
  REQUIRE_FALSE(current.empty());
  std::string next = current.string();
  next.back() = '9';
  copy_tree(current, next);
  for (const fs::path& file : files_below(next)) inflict(Damage::kGarbage, next / file);
  node.start();
  patient.cluster.wait_caught_up({&node});
  patient.check_all();
  CHECK_FALSE(fs::exists(next));
}

TEST_CASE("leftovers-of-a-snapshot-leveldb") {
  leftovers("leveldb");
}
TEST_CASE("leftovers-of-a-snapshot-sqlite") {
  leftovers("sqlite");
}

// An old image of the disk comes back: the node acknowledged what it does not have any more.  It
// must not help to commit or to elect as if it had it.
TEST_CASE("an-old-copy-of-a-data-directory") {
  Patient patient("old-copy", "leveldb");
  Node& node = patient.node();
  patient.cluster.wait_caught_up({&node});
  node.stop();
  copy_tree(node.data_dir(), patient.aside());
  node.start();
  patient.cluster.wait_caught_up({&node});
  // Acknowledged by this node and one other only.
  Node& leader = patient.cluster.leader();
  if (&leader == &node) {
    const auto moved = patient.cluster.client().transfer_leader("node1");
    REQUIRE_MESSAGE(moved, moved.error().message);
  }
  for (int i = 0; i < 40; ++i) patient.put("k/later/" + std::to_string(i), "v");
  patient.cluster.wait_caught_up({&node});
  node.kill();
  copy_tree(patient.aside(), node.data_dir());
  node.start();
  patient.cluster.wait_until("the report", [&] {
    const auto status = patient.cluster.leader().client(seconds(1)).status();
    if (!status) return false;
    for (const auto& member : status->members) {
      if (member.node_id == node.name() && member.state == "reverted") return true;
    }
    return false;
  });
  patient.put("k/goes-on", "v");
  CHECK((patient.cluster.read_all(patient.cluster[0], "k/") == patient.data));
  CHECK((patient.cluster.read_all(patient.cluster[1], "k/") == patient.data));
  // Rebuilt, it counts again.
  rebuild(patient);
  patient.check_all();
}

// Nodes that do not belong to the cluster any more knock at its doors: nobody's term or leader
// changes.
TEST_CASE("removed-and-wiped-nodes-disturb-nobody") {
  Cluster cluster("disturb");
  cluster.boot(5);
  cluster.put("k", "v");
  auto client = cluster[0].client(seconds(15));
  Node& removed = cluster[3];
  Node& wiped = cluster[4];
  const auto done = client.remove_member(removed.name(), false);
  REQUIRE_MESSAGE(done, done.error().message);
  wiped.kill();
  wiped.wipe();
  const auto before = cluster.leader().client().status();
  REQUIRE(before);
  for (int round = 0; round < 3; ++round) {
    if (removed.is_running()) removed.kill();
    if (wiped.is_running()) wiped.kill();
    removed.start();
    wiped.start();
    for (int i = 0; i < 20; ++i) {
      const auto written = client.put("k", std::to_string(i));
      CHECK_MESSAGE(written, written.error().message);
      std::this_thread::sleep_for(milliseconds(50));
    }
  }
  const auto after = cluster.leader().client().status();
  REQUIRE(after);
  CHECK(after->term == before->term);
  CHECK(after->leader == before->leader);
  CHECK_FALSE(removed.client(seconds(1)).get("k"));
  CHECK_FALSE(wiped.client(seconds(1)).get("k"));
}

}  // namespace
}  // namespace kvstore::test
