// Goal: a new cluster begins from a file with all that the file holds, whatever crashes on the way;
// what cannot be restored changes nothing.
// Method: real servers for the whole way; for crashes between the durable steps, stores that are
// left as each of them leaves them, on which the next start is done.
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "kv/reader.hpp"
#include "node/membership.hpp"
#include "node/runtime/recovery.hpp"
#include "node/runtime/restore_file.hpp"
#include "plugin/slice.hpp"
#include "plugin_set.hpp"
#include "server_fixture.hpp"

namespace kvstore::node::runtime {
namespace {

namespace fs = std::filesystem;
using test::Answer;
using test::TempDir;
using test::TestServer;

void place(const std::string& data_dir, const std::string& bytes) {
  fs::create_directories(data_dir);
  std::ofstream(data_dir + "/" + wire::kRestoreFileName, std::ios::binary) << bytes;
}

bool is_placed(const std::string& data_dir) {
  return fs::exists(data_dir + "/" + wire::kRestoreFileName);
}

// What a cluster of one with a history gives away: k was 1 and 2, and is 3.
std::string saved_state() {
  TestServer old("old");
  old.options.bootstrap = true;
  REQUIRE(old.start().is_ok());
  for (const char* value : {"1", "2", "3"}) {
    REQUIRE(old.put("k", value, 20'000).wait().status == KVS_OK);
  }
  old.request_id = "id-1";
  REQUIRE(old.put("once", "x", 20'000).wait().status == KVS_OK);
  TestServer::Blob blob = old.snapshot();
  REQUIRE(blob.status == KVS_E_END);
  return blob.bytes;
}

nlohmann::json status_of(TestServer& node) {
  return nlohmann::json::parse(node.control("cluster.status", "{}", 20'000).wait().json);
}

// Stores in memory that live as long as the test: what a data directory holds.
struct Stores {
  plugin::LogStore log = plugin::LogStore::open(test::plugins().log, test::runtime_host(),
                                                options(), {true, false, "memory"})
                             .value();
  plugin::StateStore state = plugin::StateStore::open(test::plugins().state, test::runtime_host(),
                                                      options(), {true, false, "memory"})
                                 .value();
  StateAdapter adapter{&state};

  static plugin::StorageOptions options() {
    plugin::StorageOptions o;
    o.data_dir = "unused";
    o.create = true;
    return o;
  }
  uint64_t revision() {
    auto view = adapter.open_view();
    return *kv::read_revision(**view);
  }
};

}  // namespace

TEST_CASE("a new cluster goes on where the file ends, and others join it") {
  const std::string file = saved_state();
  TestServer a("a");
  a.options.bootstrap = true;
  place(a.options.data_dir, file);
  Status started = a.start();
  REQUIRE_MESSAGE(started.is_ok(), started.to_string());
  CHECK_FALSE(is_placed(a.options.data_dir));
  CHECK(a.get("k") == "3");
  const nlohmann::json status = status_of(a);
  CHECK(status["revision"] == 4);
  CHECK(status["members"].size() == 1);
  CHECK(status["members"][0]["node_id"] == "a");
  wire::SnapshotFileReader reader;
  REQUIRE(reader.feed(file).is_ok());
  CHECK(status["cluster_id"] != cluster_id_text(reader.header()->cluster));
  // History, versions and remembered ids came along.
  kvs_read_options past = test::linearizable();
  past.revision = 2;
  test::Pending old = a.open(past, 10'000);
  REQUIRE(old.wait().status == KVS_OK);
  a.engine()->read_close(old.reader);
  a.request_id = "id-1";
  const Answer replay = a.put("once", "x", 20'000).wait();
  CHECK(replay.replayed != 0);
  CHECK(replay.revision == 4);
  a.request_id.clear();
  CHECK(a.put("k", "4", 20'000).wait().revision == 5);

  TestServer b("b");
  REQUIRE(b.start().is_ok());
  const nlohmann::json arguments{
      {"node_id", "b"}, {"address", b.server().raft_address()}, {"timeout_ms", 40'000}};
  REQUIRE(a.control("cluster.add", arguments.dump(), 60'000).wait().status == KVS_OK);
  CHECK(b.get("k") == "4");
  CHECK(b.get("once") == "x");
}

TEST_CASE("what cannot be restored is refused, and nothing is changed") {
  const std::string file = saved_state();
  TestServer node("n");
  const std::string& dir = node.options.data_dir;
  const auto refused = [&](const std::string& part) {
    const Status s = node.start();
    node.stop();
    CHECK(s.code() == Code::kInvalid);
    CHECK_MESSAGE(s.message().find(part) != std::string::npos, s.message());
    CHECK(is_placed(dir));
    CHECK_FALSE(fs::exists(dir + "/node.json"));
    CHECK_FALSE(fs::exists(dir + "/state"));
    CHECK_FALSE(fs::exists(dir + "/log"));
  };
  place(dir, file);
  refused("--bootstrap");  // it would join a cluster, and lose the file's state
  node.options.bootstrap = true;
  place(dir, file.substr(0, file.size() - 1));
  refused("without a trailer");
  std::string bad = file;
  bad[bad.size() / 2] ^= 1;
  place(dir, bad);
  refused("wrong checksum");
  std::string newer = file;
  newer[8] = 9;
  place(dir, newer);
  refused("format 9");
  place(dir, "");
  refused("cannot be restored");
}

TEST_CASE("a directory that belongs to a cluster takes no other state") {
  const std::string file = saved_state();
  TestServer node("n");
  node.options.bootstrap = true;
  REQUIRE(node.start().is_ok());
  node.stop();
  place(node.options.data_dir, file);
  Status s = node.start();
  CHECK(s.code() == Code::kInvalid);
  CHECK(s.message().find("belongs to a cluster already") != std::string::npos);
  CHECK(is_placed(node.options.data_dir));
}

// Each prefix of the steps of restore_file.hpp, then a whole start with another id.
TEST_CASE("a crash between any two steps is made good by the next start") {
  TempDir dir;
  place(dir.path(), saved_state());
  const raft::Configuration first = Membership::bootstrap({{7}, "n", "h:1"});
  const raft::Configuration second = Membership::bootstrap({{8}, "n", "h:1"});
  for (int steps = 0; steps <= 3; ++steps) {
    CAPTURE(steps);
    Stores stores;
    auto found = find_restore_file(dir.path(), nullptr, true);
    REQUIRE(found.is_ok());
    const RestoreFile& file = **found;
    const kvs_log_id base{file.header.last.term.value, file.header.last.index.value};
    if (steps >= 1) REQUIRE(restore_state(file, &stores.state, first).is_ok());
    if (steps >= 2) REQUIRE(stores.log.reset(base).is_ok());
    if (steps >= 3) REQUIRE(restore_log(file, &stores.log).is_ok());

    REQUIRE(check_restorable(file, stores.log, &stores.adapter).is_ok());
    REQUIRE(restore_state(file, &stores.state, second).is_ok());
    REQUIRE(restore_log(file, &stores.log).is_ok());
    auto restored = recover(&stores.log, &stores.adapter, 1 << 20);
    REQUIRE(restored.is_ok());
    CHECK((restored->applied == file.header.last));
    CHECK((restored->log.base() == file.header.last));
    CHECK((restored->log.last() == file.header.last));
    CHECK(restored->hard_state.term == file.header.last.term);
    CHECK(restored->hard_state.voted_for == raft::NodeId{});
    REQUIRE(restored->configuration.members.size() == 1);
    CHECK(restored->configuration.is_voter({8}));
    CHECK(stores.revision() == 4);
    raft::Options options;
    options.id = {8};
    CHECK(raft::check_restored(options, *restored).is_ok());
  }
}

TEST_CASE("a file that was used is known for that, and removed") {
  TempDir dir;
  place(dir.path(), saved_state());
  auto found = find_restore_file(dir.path(), nullptr, true);
  REQUIRE(found.is_ok());
  IdentityFile identity;
  identity.id = {7};
  identity.name = "n";
  identity.restored_file = (*found)->fingerprint;
  REQUIRE(write_identity(dir.path(), identity).is_ok());
  auto known = read_identity(dir.path());
  REQUIRE(known.is_ok());
  CHECK((*known)->restored_file == (*found)->fingerprint);
  found = find_restore_file(dir.path(), &**known, true);
  REQUIRE(found.is_ok());
  CHECK_FALSE(found->has_value());
  CHECK_FALSE(is_placed(dir.path()));
}

TEST_CASE("stores with other data are not overwritten") {
  TempDir dir;
  place(dir.path(), saved_state());
  auto found = find_restore_file(dir.path(), nullptr, true);
  REQUIRE(found.is_ok());
  const raft::Configuration configuration = Membership::bootstrap({{7}, "n", "h:1"});
  {
    Stores stores;
    REQUIRE(stores.adapter.write({}, {1, 2, configuration.encode()}).is_ok());
    Status s = check_restorable(**found, stores.log, &stores.adapter);
    CHECK(s.code() == Code::kInvalid);
    CHECK(s.message().find("the state holds data") != std::string::npos);
  }
  Stores stores;
  REQUIRE(write_bootstrap(&stores.log, configuration).is_ok());
  Status s = check_restorable(**found, stores.log, &stores.adapter);
  CHECK(s.message().find("the log holds data") != std::string::npos);
}

}  // namespace kvstore::node::runtime
