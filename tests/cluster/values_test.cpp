// Goal: values of every size up to the limit travel through any node byte for byte, larger ones are
// refused. Method: patterns whose every block differs, put through each node and read through the
// others.
#include <doctest/doctest.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

constexpr size_t kLimit = size_t{64} << 20;

std::string read_raw(Node& node, const std::string& key) {
  std::string value;
  const auto result = node.client(std::chrono::seconds(60))
                          .get(key, {}, [&](uint64_t offset, std::string_view part) {
                            if (offset == 0) value.clear();
                            value += part;
                            return true;
                          });
  REQUIRE_MESSAGE(result, node.name() << ": " << result.error().message);
  return value;
}

TEST_CASE("the-largest-value-through-any-node") {
  Cluster cluster("large-values");
  cluster.make_node("leveldb");
  cluster.make_node("sqlite");
  cluster.make_node("leveldb");
  cluster.boot();
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    const std::string value = pattern(kLimit, static_cast<uint32_t>(i) + 1);
    const auto put = cluster[i].client(std::chrono::seconds(60)).put("big", value);
    REQUIRE_MESSAGE(put, put.error().message);
    for (size_t reader = 0; reader < 3; ++reader) {
      CAPTURE(reader);
      CHECK((read_raw(cluster[reader], "big") == value));
    }
  }
}

TEST_CASE("one-byte-more-is-413") {
  Cluster cluster("too-large");
  cluster.boot(1);
  const std::string value(kLimit + 1, 'x');
  const auto put = cluster[0].client(std::chrono::seconds(60)).put("big", value);
  REQUIRE_FALSE(put);
  CHECK(put.error().http_status == 413);
  CHECK(put.error().message.find("67108864") != std::string::npos);
  CHECK(cluster[0].http("GET", "/api/v1/kv/big").status == 404);
  cluster.put("small", "still works");
}

// Around every boundary at which a value changes its way of travelling.
TEST_CASE("sizes-around-the-boundaries") {
  Cluster cluster("sizes");
  cluster.make_node("leveldb");
  cluster.make_node("sqlite");
  cluster.boot();
  const size_t mib = size_t{1} << 20;
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{65'536}, mib - 1, mib, mib + 1, 2 * mib,
                             2 * mib + 1, 5 * mib - 1}) {
    CAPTURE(bytes);
    const std::string value = pattern(bytes, static_cast<uint32_t>(bytes));
    for (size_t i = 0; i < 2; ++i) {
      const auto put = cluster[i].client(std::chrono::seconds(20)).put("sized", value);
      REQUIRE_MESSAGE(put, put.error().message);
      CHECK((read_raw(cluster[1 - i], "sized") == value));
      CHECK((cluster.get(cluster[i], "sized") == value));
    }
  }
}

TEST_CASE("a-large-value-does-not-stop-small-writes") {
  Cluster cluster("large-and-small");
  cluster.boot(3);
  const auto before = cluster.leader().client().status();
  REQUIRE(before);
  Load load(cluster, "load/", 4);
  const std::string value = pattern(kLimit, 9);
  const auto put = cluster.client(std::chrono::seconds(60)).put("big", value);
  REQUIRE_MESSAGE(put, put.error().message);
  const uint64_t count = load.acknowledged_count();
  cluster.wait_until("small writes", [&] { return load.acknowledged_count() > count + 20; });
  load.stop();
  const auto after = cluster.leader().client().status();
  REQUIRE(after);
  CHECK(after->term == before->term);
  load.verify(cluster.read_all(cluster[1], "load/"));
  CHECK((read_raw(cluster[2], "big") == value));
}

}  // namespace
}  // namespace kvstore::test
