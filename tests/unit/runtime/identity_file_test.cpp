// Goal: who a data directory belongs to is written whole, read with care, and one process has it.
// Method: round trips and damaged files in a temporary directory; the lock taken twice.
#include "node/runtime/identity_file.hpp"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <doctest/doctest.h>

#include "server_fixture.hpp"

namespace kvstore::node::runtime {
namespace {

struct Fixture {
  test::TempDir dir;
  std::string path = dir.path() + "/node.json";

  IdentityFile sample() {
    IdentityFile f;
    f.id = make_node_id();
    f.cluster = make_cluster_id();
    f.name = "n1";
    f.log_plugin = "kvstore.log";
    f.state_plugin = "kvstore.state";
    return f;
  }
  void put(const std::string& text) { std::ofstream(path) << text; }
  std::string text() {
    std::stringstream s;
    s << std::ifstream(path).rdbuf();
    return s.str();
  }
};

TEST_CASE_FIXTURE(Fixture, "what is written is read, and replaced whole") {
  CHECK_FALSE(read_identity(dir.path()).value().has_value());
  for (int i = 0; i < 2; ++i) {
    IdentityFile f = sample();
    if (i == 0) f.cluster = {};  // not in a cluster yet
    REQUIRE(write_identity(dir.path(), f).is_ok());
    IdentityFile back = read_identity(dir.path()).value().value();
    CHECK(back.id == f.id);
    CHECK(back.cluster == f.cluster);
    CHECK(back.name == f.name);
    CHECK(back.log_plugin == f.log_plugin);
    CHECK(back.state_plugin == f.state_plugin);
  }
  CHECK_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST_CASE_FIXTURE(Fixture, "a damaged file is named and refused, never taken for none") {
  REQUIRE(write_identity(dir.path(), sample()).is_ok());
  const std::string good = text();
  for (size_t n = 0; n + 2 < good.size(); n += 7) {
    put(good.substr(0, n));
    Status s = read_identity(dir.path()).status();
    CHECK(s.code() == Code::kCorrupt);
    CHECK(s.message().find(path) != std::string::npos);
  }
  auto changed = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    REQUIRE(bad.find(from) != std::string::npos);
    bad.replace(bad.find(from), from.size(), to);
    put(bad);
    return read_identity(dir.path()).status().code();
  };
  CHECK(changed("\"format\": 1", "\"format\": 2") == Code::kIncompatible);
  CHECK(changed("\"id\": \"", "\"id\": \"x") == Code::kCorrupt);
  CHECK(changed("\"id\": \"", "\"id\": \"f") == Code::kCorrupt);  // 65 bits or a provisional id
  CHECK(changed("\"cluster_id\": \"", "\"cluster_id\": \"z") == Code::kCorrupt);
  CHECK(changed("\"log_plugin\"", "\"log_plugins\"") == Code::kCorrupt);
}

TEST_CASE_FIXTURE(Fixture, "a directory that cannot be written says so") {
  CHECK(write_identity(dir.path() + "/absent", sample()).code() == Code::kIo);
  put("");
  CHECK(DataDirLock::acquire(path).status().code() == Code::kIo);  // a file stands there
}

TEST_CASE_FIXTURE(Fixture, "one holder at a time") {
  std::string data = dir.path() + "/a/b";
  {
    Result<DataDirLock> first = DataDirLock::acquire(data);
    REQUIRE(first.is_ok());
    Result<DataDirLock> second = DataDirLock::acquire(data);
    CHECK(second.status().code() == Code::kBusy);
    CHECK(second.status().message().find(data) != std::string::npos);
    DataDirLock moved = std::move(*first);
    CHECK(DataDirLock::acquire(data).status().code() == Code::kBusy);
  }
  CHECK(DataDirLock::acquire(data).is_ok());
}

TEST_CASE("ids are random, not zero, and never provisional") {
  std::set<uint64_t> seen;
  for (int i = 0; i < 1'000; ++i) {
    raft::NodeId id = make_node_id();
    CHECK(id.value != 0);
    CHECK_FALSE(is_provisional(id));
    seen.insert(id.value);
  }
  CHECK(seen.size() == 1'000);
}

}  // namespace
}  // namespace kvstore::node::runtime
