// Goal: the SDK's helpers for storage plugins keep their promises in the cases that plugins rarely
// reach. Method: each helper alone, on a temporary directory where it needs one.
#include <filesystem>
#include <fstream>
#include <string>

#include <kvstore/sdk/data_dir.hpp>
#include <kvstore/sdk/failure_latch.hpp>
#include <kvstore/sdk/generations.hpp>
#include <kvstore/sdk/pair_buffer.hpp>
#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

#include <doctest/doctest.h>

#include "support/temp_dir.hpp"

namespace fs = std::filesystem;
using namespace kvstore::sdk;  // NOLINT: a test of that namespace

namespace {

struct TempDir : kvstore::test::TempDir {
  std::string sub(const std::string& name) const { return path() + "/" + name; }
};

constexpr EngineTag kOurs{"ours", KVS_LOG_ID, 2};

// Opens, finishing the creation if there is one; the status.
kvs_status open(const std::string& dir, uint32_t flags, const EngineTag& tag,
                std::string* message) {
  kvs_storage_options options{};
  options.struct_size = sizeof options;
  options.flags = flags;
  options.data_dir = slice(dir);
  kvs_error err = make_error();
  const kvs_status status = guard(&err, [&] {
    DataDir data_dir(options, tag);
    if (data_dir.is_new()) data_dir.finish_create();
  });
  *message = err.message;
  return status;
}

}  // namespace

TEST_CASE("a data directory knows its engine, interface and format") {
  TempDir tmp;
  std::string message;
  const std::string dir = tmp.sub("a/b/c");
  CHECK(open(dir, 0, kOurs, &message) == KVS_E_NOT_FOUND);
  CHECK_FALSE(fs::exists(dir));
  CHECK(open(dir, KVS_STORAGE_CREATE, kOurs, &message) == KVS_OK);
  CHECK(open(dir, 0, kOurs, &message) == KVS_OK);
  CHECK(open(dir, KVS_STORAGE_CREATE, {"theirs", KVS_LOG_ID, 2}, &message) == KVS_E_INCOMPATIBLE);
  CHECK(message.find("ours") != std::string::npos);
  CHECK(message.find("theirs") != std::string::npos);
  CHECK(open(dir, 0, {"ours", KVS_STATE_ID, 2}, &message) == KVS_E_INCOMPATIBLE);
  CHECK(open(dir, 0, {"ours", KVS_LOG_ID, 1}, &message) == KVS_E_INCOMPATIBLE);
  CHECK(message.find("upgrade") != std::string::npos);
  CHECK(open(dir, 0, {"ours", KVS_LOG_ID, 3}, &message) == KVS_OK);
}

TEST_CASE("a damaged marker is CORRUPT, whatever the flags") {
  TempDir tmp;
  std::string message;
  for (const char* text : {"", "rubbish", "kvstore-storage 1\nengine ours\n",
                           "kvstore-storage 9\nengine ours\ninterface kvstore.log/1\nformat 1\n"}) {
    fs::create_directories(tmp.sub("d"));
    std::ofstream(tmp.sub("d/ENGINE")) << text;
    CHECK(open(tmp.sub("d"), 0, kOurs, &message) == KVS_E_CORRUPT);
    CHECK(open(tmp.sub("d"), KVS_STORAGE_CREATE, kOurs, &message) == KVS_E_CORRUPT);
  }
}

TEST_CASE("a data directory is exclusive while it is open") {
  TempDir tmp;
  std::string message;
  const std::string dir = tmp.sub("d");
  REQUIRE(open(dir, KVS_STORAGE_CREATE, kOurs, &message) == KVS_OK);
  kvs_storage_options options{};
  options.struct_size = sizeof options;
  options.data_dir = slice(dir);
  {
    DataDir first(options, kOurs);
    CHECK(open(dir, 0, kOurs, &message) == KVS_E_BUSY);
    CHECK(message.find(dir) != std::string::npos);
  }
  CHECK(open(dir, 0, kOurs, &message) == KVS_OK);
}

TEST_CASE("generations: the pointer decides, the rest is garbage") {
  TempDir tmp;
  const std::string dir = tmp.sub("d");
  create_dirs(dir);
  {
    Generations generations(dir, "ours");
    CHECK(generations.current() == 0);
    GenerationDir first = generations.create();
    std::ofstream(first.path() + "/data") << "1";
    first.keep();
    generations.set_current(first.number());
    const std::string discarded = [&] {
      GenerationDir second = generations.create();
      std::ofstream(second.path() + "/data") << "2";
      return second.path();
    }();
    CHECK_FALSE(fs::exists(discarded));
    generations.create().keep();  // as a crash would leave it
  }
  Generations generations(dir, "ours");
  CHECK(generations.current() == 1);
  generations.remove_others(1);
  CHECK(fs::exists(generations.open(1).path() + "/data"));
  CHECK(generations.create().number() > 3);
  std::ofstream(dir + "/CURRENT") << "ours-000077\n";
  CHECK_THROWS_AS(generations.current(), Error);
  std::ofstream(dir + "/CURRENT") << "../elsewhere\n";
  CHECK_THROWS_AS(generations.current(), Error);
}

TEST_CASE("a latch repeats the first environment failure and nothing else") {
  FailureLatch latch;
  kvs_error err = make_error();
  CHECK(latch.write(&err, [] { throw Error(KVS_E_INVALID, "a mistake"); }) == KVS_E_INVALID);
  CHECK(latch.write(&err, [] { return kvs_status{KVS_E_IO}; }) == KVS_E_IO);  // a sink's word
  CHECK_FALSE(latch.is_set());
  CHECK(latch.write(&err, [] { throw Error(KVS_E_NO_SPACE, "disk full"); }) == KVS_E_NO_SPACE);
  bool ran = false;
  CHECK(latch.write(&err, [&] { ran = true; }) == KVS_E_NO_SPACE);
  CHECK_FALSE(ran);
  CHECK(std::string(err.message) == "stopped after an earlier failure: disk full");
  CHECK(latch.read(&err, [&] { ran = true; }) == KVS_OK);
  CHECK(ran);
  CHECK(latch.write(nullptr, [] { throw Error(KVS_E_IO, "another"); }) == KVS_E_NO_SPACE);

  FailureLatch broken;
  CHECK(broken.read(nullptr, [] { throw Error(KVS_E_CORRUPT, "bad page"); }) == KVS_E_CORRUPT);
  CHECK(broken.read(nullptr, [] {}) == KVS_E_CORRUPT);
}

TEST_CASE("a pair buffer always takes the first pair and keeps to its limits after") {
  PairBuffer buffer;
  CHECK_FALSE(buffer.fits(1, 0, 100));
  CHECK(buffer.fits(1000, 1, 0));
  buffer.add("key", std::string("\0v", 2));
  CHECK_FALSE(buffer.fits(1, 1, 100));
  CHECK(buffer.fits(95, 2, 100));
  CHECK_FALSE(buffer.fits(96, 2, 100));
  buffer.add("", "");
  kvs_pair pairs[2];
  buffer.export_to(pairs);
  CHECK(view(pairs[0].key) == "key");
  CHECK(view(pairs[0].value) == std::string_view("\0v", 2));
  CHECK(pairs[1].key.len + pairs[1].value.len == 0);
}

TEST_CASE("an applied mark follows in index and never goes back in term") {
  auto status = [](kvs_log_id stored, kvs_log_id at) {
    kvs_applied applied{};
    applied.struct_size = sizeof applied;
    applied.at = at;
    return guard(nullptr, [&] { check_applied(&applied, stored); });
  };
  CHECK(status({0, 0}, {0, 0}) == KVS_OK);
  CHECK(status({0, 0}, {1, 1}) == KVS_OK);
  CHECK(status({2, 5}, {2, 5}) == KVS_OK);
  CHECK(status({2, 5}, {3, 9}) == KVS_OK);
  CHECK(status({2, 5}, {3, 5}) == KVS_E_INVALID);
  CHECK(status({2, 5}, {1, 6}) == KVS_E_INVALID);
  CHECK(status({2, 5}, {2, 4}) == KVS_E_INVALID);
}
