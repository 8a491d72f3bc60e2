// Goal: ranges and cursors of lists mean the same keys whatever bytes the keys have.
// Method: ranges against a brute-force check over short keys; cursors round trip and mismatch.
#include "text/key_range.hpp"

#include <vector>

#include <kvstore/sdk/slice.hpp>

#include <doctest/doctest.h>

using namespace kvstore;
using namespace kvstore::http;

namespace {

bool contains(const KeyRange& range, std::string_view key) {
  const kvs_range abi = range.to_abi();
  if (abi.kind == KVS_RANGE_ALL) return true;
  if (key < sdk::view(abi.key)) return false;
  return abi.kind == KVS_RANGE_FROM || key < sdk::view(abi.end);
}

std::vector<std::string> short_keys() {
  std::vector<std::string> keys;
  const char bytes[] = {'\0', 'a', 'b', '\xfe', '\xff'};
  for (char a : bytes) {
    keys.emplace_back(1, a);
    for (char b : bytes) {
      keys.push_back({a, b});
      for (char c : bytes) keys.push_back({a, b, c});
    }
  }
  return keys;
}

}  // namespace

TEST_CASE("a prefix is exactly the keys that begin with it") {
  const auto keys = short_keys();
  for (const std::string& prefix : keys) {
    const KeyRange range = KeyRange::of_prefix(prefix);
    for (const std::string& key : keys) CHECK(contains(range, key) == key.starts_with(prefix));
  }
  CHECK(KeyRange::of_prefix("").to_abi().kind == KVS_RANGE_ALL);
}

TEST_CASE("continue_after leaves what comes after the key, in both directions") {
  const auto keys = short_keys();
  for (const std::string& last : keys) {
    KeyRange forward = KeyRange::of_prefix("a"), backward = forward;
    backward.reverse = true;
    if (!last.starts_with("a")) continue;
    forward.continue_after(last);
    backward.continue_after(last);
    for (const std::string& key : keys) {
      CHECK(contains(forward, key) == (key.starts_with("a") && key > last));
      CHECK(contains(backward, key) == (key.starts_with("a") && key < last));
    }
  }
}

TEST_CASE("cursors") {
  KeyRange range = KeyRange::of_prefix("a");
  const std::string key("a\0\xff", 3);
  const std::string cursor = encode_cursor(range, key);
  CHECK(decode_cursor(range, cursor) == key);
  KeyRange reverse = range;
  reverse.reverse = true;
  CHECK(!decode_cursor(reverse, cursor));
  CHECK(!decode_cursor(KeyRange::of_prefix("b"), cursor));
  CHECK(!decode_cursor(KeyRange::of_prefix(""), cursor));
  for (const char* bad : {"", "A", "AAAA", "====", "AQ"}) CHECK(!decode_cursor(range, bad));
  CHECK(!decode_cursor(range, cursor.substr(0, 12)));
}
