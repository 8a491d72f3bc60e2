// Goal: the free space of the fullest disk is reported, and a path that is gone does not count.
// Method: the temporary directory's own file system.
#include "node/runtime/disk_monitor.hpp"

#include <future>

#include <doctest/doctest.h>

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
  monitor.start({"/proc", "/nowhere/at/all", "/"}, [&](uint64_t free) {
    if (first.exchange(false)) reported.set_value(free);
  });
  CHECK(reported.get_future().get() == 0);  // /proc has no space at all
  monitor.stop();
}
