// Goal: values travel between files and the server whole, and a failed download leaves no file
// behind. Method: the program inside the test, a scripted server, a temporary directory.
#include <atomic>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "cli_fixture.hpp"
#include "support/temp_dir.hpp"

namespace kvstore::cli {
namespace {

namespace fs = std::filesystem;
using test::json_reply;
using test::Reply;
using test::run_cli;
using test::ScriptedServer;
using test::SeenRequest;

struct Dir : test::TempDir {
  std::string file(const char* name) const { return (fs::path(path()) / name).string(); }
  size_t count() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path()), {}));
  }
};

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string pattern(size_t bytes) {
  std::string out(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>(i * 2654435761u >> 13);
  return out;
}

TEST_CASE("put --file sends the file, again from its beginning when the request is repeated") {
  const Dir dir;
  const std::string value = pattern(3'000'001);
  write_file(dir.file("v"), value);
  std::atomic<int> calls = 0;
  std::string body;
  ScriptedServer server([&](const SeenRequest& request) {
    body = request.body;
    return ++calls == 1 ? test::error_reply(503, "no_leader", true, "no") : json_reply(200, "{}");
  });
  CHECK(run_cli({"put", "k", "--file", dir.file("v"), "--server", server.url()}).code == 0);
  CHECK(calls == 2);
  CHECK(body == value);
}

TEST_CASE("put of a file that cannot be read sends nothing") {
  const Dir dir;
  ScriptedServer server([](const SeenRequest&) { return json_reply(200, "{}"); });
  const auto missing = run_cli({"put", "k", "--file", dir.file("none"), "--server", server.url()});
  CHECK(missing.code == 5);
  CHECK(missing.err ==
        "kvstore-client: put k: " + dir.file("none") + ": No such file or directory\n");
  const auto directory = run_cli({"put", "k", "--file", dir.path(), "--server", server.url()});
  CHECK(directory.code == 5);
  CHECK(directory.err.find("Is a directory") != std::string::npos);
  CHECK(server.requests().empty());
}

TEST_CASE("get --output writes the file, replacing an older one only when it is whole") {
  const Dir dir;
  const std::string value = pattern(2'000'000);
  std::atomic<bool> cut = true;
  ScriptedServer server([&](const SeenRequest&) {
    return Reply{200, value, {}, cut ? Reply::Action::kCutBody : Reply::Action::kAnswer};
  });
  write_file(dir.file("out"), "older");
  const auto failed = run_cli(
      {"get", "k", "--output", dir.file("out"), "--server", server.url(), "--timeout", "300ms"});
  CHECK(failed.code == 3);
  CHECK(read_file(dir.file("out")) == "older");
  cut = false;
  const auto done = run_cli({"get", "k", "--output", dir.file("out"), "--server", server.url()});
  CHECK(done.code == 0);
  CHECK(done.out == "OK 2000000 bytes in " + dir.file("out") + "\n");
  CHECK(read_file(dir.file("out")) == value);
  CHECK(dir.count() == 1);
}

TEST_CASE("get --output goes on with another server after a cut, get --raw must not") {
  const Dir dir;
  const std::string value = pattern(2'000'000);
  const auto script = [&](Reply::Action action) {
    return [&value, action](const SeenRequest&) { return Reply{200, value, {}, action}; };
  };
  ScriptedServer bad(script(Reply::Action::kCutBody));
  ScriptedServer good(script(Reply::Action::kAnswer));
  const std::string servers = bad.url() + "," + good.url();
  CHECK(run_cli({"get", "k", "--output", dir.file("out"), "--server", servers}).code == 0);
  CHECK(read_file(dir.file("out")) == value);
  const auto raw = run_cli({"get", "k", "--raw", "--server", servers});
  CHECK(raw.code == 5);
  CHECK(raw.err.find("interrupted") != std::string::npos);
  CHECK(raw.out.size() < value.size());
}

TEST_CASE("get --output into a place that cannot be written") {
  const Dir dir;
  ScriptedServer server([](const SeenRequest&) { return Reply{200, "v", {}, {}}; });
  const std::string path = dir.file("none") + "/out";
  const auto result = run_cli({"get", "k", "--output", path, "--server", server.url()});
  CHECK(result.code == 5);
  CHECK(result.err == "kvstore-client: get k: " + path + ": No such file or directory\n");
}

TEST_CASE("a missing key leaves no file") {
  const Dir dir;
  ScriptedServer server(
      [](const SeenRequest&) { return test::error_reply(404, "not_found", false, "no"); });
  CHECK(run_cli({"get", "k", "--output", dir.file("out"), "--server", server.url()}).code == 1);
  CHECK(dir.count() == 0);
}

}  // namespace
}  // namespace kvstore::cli
