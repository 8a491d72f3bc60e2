// Goal: the free space of the fullest disk is reported, a path that is gone does not count, and
// what the files below a path take is known.
// Method: the temporary directory's own file system.
#include "node/runtime/disk_monitor.hpp"

#include <filesystem>
#include <fstream>
#include <future>

#include <doctest/doctest.h>

#include "support/temp_dir.hpp"

using namespace kvstore;
using namespace kvstore::node::runtime;

TEST_CASE("a path that does not exist is named") {
  Result<uint64_t> none = free_bytes_of("/nowhere/at/all");
  REQUIRE_FALSE(none);
  CHECK(none.status().message().find("/nowhere/at/all") != std::string::npos);
}

TEST_CASE("the monitor reports the smallest figure at once and ends when told") {
  std::promise<uint64_t> reported;
  std::atomic<bool> first{true};
  DiskMonitor monitor;
  monitor.start({"/proc", "/nowhere/at/all", "/"}, [&](const DiskUse& use) {
    if (first.exchange(false)) reported.set_value(use.free_bytes);
  });
  CHECK(reported.get_future().get() == 0);  // /proc has no space at all
  monitor.stop();
}

TEST_CASE("files count with their size, in folders too, and links do not") {
  test::TempDir dir;
  CHECK(used_bytes_of(dir.path()) == 0);
  CHECK(used_bytes_of("/nowhere/at/all") == 0);
  std::filesystem::create_directories(dir.path() + "/a/b");
  std::ofstream(dir.path() + "/a/b/file") << std::string(100'000, 'x');
  std::filesystem::create_symlink("b/file", dir.path() + "/a/link");
  CHECK(used_bytes_of(dir.path()) == 100'000);
  std::ofstream(dir.path() + "/another") << "more";
  CHECK(used_bytes_of(dir.path()) == 100'004);
}
