// Goal: a list of very many keys is one stream of one revision that takes the server no memory.
// Method: many keys are written, then streamed through a follower while others overwrite them; the
// server's memory is looked at all the while.  KVS_STREAM_KEYS sets how many.
#include <cstdlib>
#include <fstream>

#include <doctest/doctest.h>
#include <unistd.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

constexpr size_t kGrowthMax = size_t{64} << 20;
constexpr size_t kWriters = 16;

// Without the pages of mapped tables, which are the kernel's cache.
size_t own_bytes(const Node& node) {
  std::ifstream statm("/proc/" + std::to_string(node.pid()) + "/statm");
  size_t total = 0, resident = 0, shared = 0;
  statm >> total >> resident >> shared;
  return (resident - shared) * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

std::string key_of(size_t i) {
  std::string digits = std::to_string(i);
  return "stream/" + std::string(8 - digits.size(), '0') + digits;
}

void fill(Cluster& cluster, size_t keys) {
  std::atomic<size_t> next{0};
  std::atomic<size_t> failed{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kWriters; ++t) {
    threads.emplace_back([&] {
      client::Client client = cluster.client();
      for (size_t i; (i = next++) < keys;) {
        bool done = false;
        for (int attempt = 0; attempt < 5 && !done; ++attempt)
          done = client.put(key_of(i), std::string(100, 'v')).is_ok();
        if (!done) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(failed == 0);
}

}  // namespace

TEST_CASE("a-long-list-is-a-stream") {
  const char* wanted = std::getenv("KVS_STREAM_KEYS");
  const size_t keys = wanted == nullptr ? 50'000 : std::strtoull(wanted, nullptr, 10);
  Cluster cluster("stream");
  cluster.boot(1);
  Node& node = cluster[0];
  fill(cluster, keys);
  client::ListOptions options;
  options.prefix = "stream/";
  options.limit = 0;
  for (const bool reverse : {false, true}) {
    options.reverse = reverse;
    const size_t before = own_bytes(node);
    size_t most = before, seen = 0;
    bool ordered = true;
    client::Client client = node.client(std::chrono::minutes(1));
    const auto result = client.stream(options, [&](const client::Item& item) {
      ordered = ordered && item.key == key_of(reverse ? keys - 1 - seen : seen) &&
                item.value.size() == 100;
      if (++seen % 10'000 == 0) most = std::max(most, own_bytes(node));
      // What is written meanwhile is not of this revision.
      if (seen == 1'000) cluster.put("stream/00000000", "changed");
      return true;
    });
    REQUIRE(result);
    CHECK(seen == keys);
    CHECK(result->count == keys);
    CHECK((ordered || reverse));  // the second pass sees the change of the first
    MESSAGE(keys << " keys, memory grew by " << ((most - before) >> 10) << " KiB from "
                 << (before >> 20) << " MiB");
    CHECK(most - before < kGrowthMax);
  }
  const auto count = node.http("GET", "/api/v1/kv?count_only=true&prefix=stream/&timeout=60s");
  CHECK(contains(count.body, "\"count\":" + std::to_string(keys)));
}

}  // namespace kvstore::test
