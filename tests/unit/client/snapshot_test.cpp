// Goal: a snapshot is on the disk whole and checked, or not at all; it is shown and placed as it
// is; what is damaged changes nothing. Method: the program inside the test with a scripted server
// that gives good, cut and damaged files; a temporary directory.
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "cli_fixture.hpp"
#include "support/memory_store.hpp"
#include "support/temp_dir.hpp"
#include "wire/snapshot_file.hpp"

namespace kvstore::cli {
namespace {

namespace fs = std::filesystem;
using test::CliResult;
using test::error_reply;
using test::Reply;
using test::run_cli;
using test::ScriptedServer;
using test::SeenRequest;

struct Dir : test::TempDir {
  std::string at(const std::string& name) const { return (fs::path(path()) / name).string(); }
  size_t count() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path()), {}));
  }
};

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Three keys at revision 41.
std::string snapshot_bytes() {
  wire::SnapshotFileHeader header;
  header.cluster.fill(0xab);
  header.node = 5;
  header.node_name = "node2";
  header.created_ms = 1'700'000'000'000;
  header.last = {{3}, {500}};
  header.revision = 41;
  header.compacted_revision = 12;
  header.members = {{5, "node2", "b:2", true}, {6, "node3", "c:3", false}};
  test::MemoryData data;
  data.spaces[0] = {{"a", "1"}, {"b", "2"}, {"c", std::string(700'000, 'x')}};
  data.spaces[1] = {{"machine", "m"}};
  test::MemoryView view(std::make_shared<const test::MemoryData>(data));
  std::string file = wire::encode_snapshot_file_header(header);
  wire::SnapshotFrames frames(&view, wire::snapshot_file_chain(file));
  while (*frames.next(&file)) {
  }
  return file;
}

Reply binary(std::string body, Reply::Action action = Reply::Action::kAnswer) {
  Reply reply;
  reply.body = std::move(body);
  reply.headers["X-Kvstore-Revision"] = "41";
  reply.action = action;
  return reply;
}

CliResult save(const std::vector<std::string>& arguments, const Reply& reply,
               std::vector<SeenRequest>* seen = nullptr) {
  ScriptedServer server([&](const SeenRequest&) { return reply; });
  std::vector<std::string> all{"snapshot", "save", "--server", server.url(), "--timeout", "2s"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  CliResult result = run_cli(std::move(all));
  if (seen != nullptr) *seen = server.requests();
  return result;
}

}  // namespace

TEST_CASE("save writes exactly what came, and says what it is") {
  Dir dir;
  const std::string bytes = snapshot_bytes();
  std::vector<SeenRequest> seen;
  const CliResult table = save({dir.at("f")}, binary(bytes), &seen);
  CHECK(table.code == 0);
  CHECK(table.out.rfind("OK revision 41, 3 keys, 683.", 0) == 0);
  CHECK((read_file(dir.at("f")) == bytes));
  CHECK(dir.count() == 1);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].path == "/api/v1/admin/snapshot");
  CHECK(seen[0].query.empty());

  const CliResult again = save({dir.at("f")}, binary(bytes), &seen);
  CHECK(again.code == 5);
  CHECK(again.err.find("--force") != std::string::npos);
  CHECK(seen.empty());
  const CliResult forced = save(
      {dir.at("f"), "--force", "--format", "json", "--consistency", "stale"}, binary(bytes), &seen);
  CHECK(forced.code == 0);
  CHECK(forced.document()["revision"] == 41);
  CHECK(forced.document()["keys"] == 3);
  CHECK(forced.document()["bytes"] == bytes.size());
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].query == "consistency=stale");
}

TEST_CASE("save to standard output is the file and nothing else") {
  const std::string bytes = snapshot_bytes();
  const CliResult result = save({"-"}, binary(bytes));
  CHECK(result.code == 0);
  CHECK((result.out == bytes));
  CHECK(save({"-", "--format", "json"}, binary(bytes)).code == 2);
}

TEST_CASE("what is cut, damaged, something else or refused leaves no file") {
  Dir dir;
  const std::string bytes = snapshot_bytes();
  std::string flipped = bytes;
  flipped[bytes.size() / 2] ^= 4;
  struct Row {
    const char* what;
    Reply reply;
    int code;
    const char* said;
  };
  const Row rows[] = {
      {"cut at the end", binary(bytes.substr(0, bytes.size() - 1)), 3, "cut before its end"},
      {"cut before the last frame", binary(bytes.substr(0, bytes.size() - 25)), 3, "cut"},
      {"cut connection", binary(bytes, Reply::Action::kCutBody), 3, ""},
      {"a flipped bit", binary(flipped), 5, "wrong checksum"},
      {"no snapshot", binary("{\"hello\": 1}"), 5, "no kvstore snapshot"},
      {"nothing", binary(""), 3, "cut"},
      {"refused", error_reply(400, "invalid", false, "no"), 5, ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const CliResult result = save({dir.at("f")}, row.reply);
    CAPTURE(result.err);
    CHECK(result.code == row.code);
    CHECK(result.err.find(row.said) != std::string::npos);
    CHECK(dir.count() == 0);
  }
  write_file(dir.at("f"), "precious");
  CHECK(save({dir.at("f"), "--force"}, binary(flipped)).code == 5);
  CHECK(read_file(dir.at("f")) == "precious");
  CHECK(save({dir.at("no/such/dir")}, binary(bytes)).code == 5);
}

TEST_CASE("status shows a whole file and refuses any other") {
  Dir dir;
  const std::string bytes = snapshot_bytes();
  write_file(dir.at("f"), bytes);
  const CliResult json = run_cli({"snapshot", "status", dir.at("f"), "--format", "json"});
  CHECK(json.code == 0);
  const nlohmann::json document = json.document();
  CHECK(document["cluster_id"] == "abababab-abab-abab-abab-abababababab");
  CHECK(document["node_id"] == "node2");
  CHECK(document["created"] == "2023-11-14T22:13:20Z");
  CHECK(document["index"] == 500);
  CHECK(document["term"] == 3);
  CHECK(document["compacted_revision"] == 12);
  CHECK(document["pairs"] == 4);
  CHECK(document["members"][1] ==
        nlohmann::json({{"node_id", "node3"}, {"address", "c:3"}, {"role", "learner"}}));
  const CliResult table = run_cli({"snapshot", "status", dir.at("f")});
  CHECK(table.code == 0);
  for (const char* part : {"abababab-", "2023-11-14T22:13:20Z by node2", "41, readable from 12 on",
                           "index 500, term 3", "node3  learner  c:3"}) {
    CAPTURE(part);
    CHECK(table.out.find(part) != std::string::npos);
  }
  // Cut anywhere: here after each tenth of it, and by one byte.
  for (size_t i = 0; i <= 10; ++i) {
    const size_t size = i == 10 ? bytes.size() - 1 : bytes.size() * i / 10;
    write_file(dir.at("cut"), bytes.substr(0, size));
    const CliResult cut = run_cli({"snapshot", "status", dir.at("cut")});
    CHECK(cut.code == 5);
    CHECK(cut.out.empty());
    CHECK(cut.err.find(dir.at("cut")) != std::string::npos);
  }
  write_file(dir.at("longer"), bytes + "x");
  CHECK(run_cli({"snapshot", "status", dir.at("longer")}).code == 5);
  CHECK(run_cli({"snapshot", "status", dir.at("absent")}).code == 5);
  CHECK(run_cli({"snapshot", "status", dir.path()}).code == 5);
}

TEST_CASE("restore places a good file in an empty directory, and changes nothing otherwise") {
  Dir dir;
  const std::string bytes = snapshot_bytes();
  write_file(dir.at("f"), bytes);
  write_file(dir.at("bad"), bytes.substr(0, bytes.size() - 3));
  const std::string data = dir.at("new/data");
  const auto restore = [&](const char* file, const std::string& where, bool force = false) {
    std::vector<std::string> arguments{"snapshot", "restore", dir.at(file), "--data-dir", where};
    if (force) arguments.push_back("--force");
    return run_cli(std::move(arguments));
  };
  CHECK(restore("bad", data).code == 5);
  CHECK_FALSE(fs::exists(dir.at("new")));
  const CliResult placed = restore("f", data);
  CHECK(placed.code == 0);
  CHECK(placed.out.find("--bootstrap") != std::string::npos);
  CHECK((read_file(data + "/restore.snapshot") == bytes));
  CHECK(restore("f", data).code == 5);
  CHECK(restore("f", data, true).code == 0);
  CHECK(std::distance(fs::directory_iterator(data), {}) == 1);

  // What a killed attempt, a server that waited and a file system leave does not count.
  fs::create_directories(dir.at("left/lost+found"));
  write_file(dir.at("left/LOCK"), "");
  write_file(dir.at("left/restore.snapshot.tmp"), "half");
  CHECK(restore("f", dir.at("left")).code == 0);
  CHECK_FALSE(fs::exists(dir.at("left/restore.snapshot.tmp")));

  fs::create_directories(dir.at("member"));
  write_file(dir.at("member/node.json"), "{}");
  const CliResult member = restore("f", dir.at("member"), true);
  CHECK(member.code == 5);
  CHECK(member.err.find("belongs to a cluster already") != std::string::npos);
  fs::create_directories(dir.at("other/photos"));
  const CliResult other = restore("f", dir.at("other"), true);
  CHECK(other.code == 5);
  CHECK(other.err.find("photos") != std::string::npos);
  CHECK_FALSE(fs::exists(dir.at("other/restore.snapshot")));
  CHECK(restore("f", dir.at("f")).code == 5);  // a file in the place of the directory
  CHECK(run_cli({"snapshot", "restore", dir.at("f")}).code == 2);
}

}  // namespace kvstore::cli
