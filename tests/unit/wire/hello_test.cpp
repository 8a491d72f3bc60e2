// Goal: two nodes learn who they are talking to, and strangers are told apart from newer versions.
// Method: round trips, cutting to the size limit, damage, and forged hellos with right checksums.
#include "wire/hello.hpp"

#include <doctest/doctest.h>

#include "base/codec.hpp"
#include "mutations.hpp"
#include "wire/checked_frame.hpp"
#include "wire/frame.hpp"

namespace kvstore::wire::test {
namespace {

Hello sample() {
  Hello h;
  h.cluster.fill(0xab);
  h.node = uint64_t{1} << 62;
  h.name = "node1";
  h.raft_address = "10.0.0.1:7001";
  h.api_addresses = {{"http", "10.0.0.1:8081"}, {"http-2", "10.0.0.1:8082"}};
  h.version_min = kVersionMin;
  h.version_max = kVersionMax;
  h.plugins = {"log=storage-leveldb/0.1", "state=storage-sqlite/0.1"};
  h.members = {{1, "node1", "10.0.0.1:7001"}, {0, "pending", "10.0.0.2:7001"}};
  return h;
}

Hello with_versions(uint32_t min, uint32_t max) {
  Hello h = sample();
  h.version_min = min;
  h.version_max = max;
  return h;
}

template <typename Change>
std::string forged(const Hello& hello, Change change) {
  std::string bytes = *encode_hello(hello);
  bytes.resize(bytes.size() - sizeof(uint32_t));
  change(bytes);
  append_checksum(&bytes);
  return bytes;
}

}  // namespace

TEST_CASE("a hello survives the wire") {
  auto decoded = decode_hello(*encode_hello(sample()));
  REQUIRE_MESSAGE(decoded.is_ok(), decoded.status().to_string());
  CHECK(*decoded == sample());
}

TEST_CASE("members are dropped first, then plugins, when a hello gets too large") {
  Hello h = sample();
  for (uint64_t i = 0; i < 200; i++) h.members.push_back({i, "name", std::string(60, 'a')});
  auto bytes = encode_hello(h);
  REQUIRE(bytes.is_ok());
  CHECK(bytes->size() <= kHelloBytesMax);
  CHECK(bytes->size() > kHelloBytesMax - 100);
  auto decoded = decode_hello(*bytes);
  REQUIRE(decoded.is_ok());
  CHECK(decoded->plugins == h.plugins);
  CHECK(decoded->members.size() > 40);
  CHECK(std::equal(decoded->members.begin(), decoded->members.end(), h.members.begin()));

  h.plugins.assign(100, std::string(60, 'p'));
  decoded = decode_hello(*encode_hello(h));
  REQUIRE(decoded.is_ok());
  CHECK(decoded->members.empty());
  CHECK(decoded->plugins.size() > 40);
  CHECK(decoded->name == "node1");
}

TEST_CASE("names that cannot fit are INVALID") {
  Hello h = sample();
  h.name.assign(kHelloBytesMax, 'n');
  auto bytes = encode_hello(h);
  CHECK(bytes.status().code() == Code::kInvalid);
}

TEST_CASE("no damaged hello is let in") {
  for (const std::string& bad : mutations(*encode_hello(sample())))
    CHECK(decode_hello(bad).status().code() == Code::kCorrupt);
}

TEST_CASE("versions that do not overlap are INCOMPATIBLE and named") {
  Status s = decode_hello(*encode_hello(with_versions(kVersionMax + 1, kVersionMax + 3))).status();
  CHECK(s.code() == Code::kIncompatible);
  CHECK(s.message() == "hello: the peer speaks wire versions 2..4, this node 1..1");
  CHECK(decode_hello(*encode_hello(with_versions(0, 0))).status().code() == Code::kIncompatible);
  CHECK(decode_hello(*encode_hello(with_versions(1, 7))).is_ok());
  CHECK(decode_hello(*encode_hello(with_versions(2, 1))).status().code() == Code::kCorrupt);
}

TEST_CASE("an incompatible version is told even when the rest has another layout") {
  std::string bytes = forged(with_versions(8, 9), [](std::string& b) { b.resize(12); });
  CHECK(decode_hello(bytes).status().code() == Code::kIncompatible);
}

TEST_CASE("what a newer version adds at the end is skipped") {
  std::string bytes = forged(with_versions(1, 2), [](std::string& b) {
    b.pop_back();  // the empty extension
    Encoder(&b).bytes("something new");
  });
  auto decoded = decode_hello(bytes);
  REQUIRE(decoded.is_ok());
  CHECK(*decoded == with_versions(1, 2));
}

TEST_CASE("what is wrong is named") {
  auto message = [](const std::string& bytes) {
    Status s = decode_hello(bytes).status();
    CHECK(s.code() == Code::kCorrupt);
    return s.message();
  };
  CHECK(message(std::string(kHelloBytesMax + 1, 'x')) == "hello: too large");
  CHECK(message(forged(sample(), [](std::string& b) { b[0] = 'X'; })) ==
        "hello: not a kvstore node");
  CHECK(message(forged(sample(), [](std::string& b) { b += 'x'; })) ==
        "hello: bytes behind its end");
  CHECK(message(forged(sample(), [](std::string& b) { b.resize(40); })) ==
        "hello: malformed or cut short");
  CHECK(message(forged(sample(), [](std::string& b) { b.resize(10); })) == "hello: cut short");
  Hello nobody = sample();
  nobody.node = 0;
  CHECK(message(*encode_hello(nobody)) == "hello: node id 0");
}

}  // namespace kvstore::wire::test
