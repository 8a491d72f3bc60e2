// Goal: the hash is a function of the pairs and their order alone, and nothing goes unnoticed.
// Method: small stores that differ in one place, or only in how they came to be.
#include "kv/state_hash.hpp"

#include <doctest/doctest.h>

#include "support/memory_store.hpp"

namespace kvstore::kv {
namespace {

using test::MemoryStore;

struct Pair {
  uint32_t space;
  std::string key;
  std::string value;
};

void write(MemoryStore* store, const std::vector<Pair>& pairs, uint64_t index) {
  std::vector<WriteOp> ops;
  for (const Pair& p : pairs) ops.push_back({WriteOp::Kind::kPut, p.space, p.key, p.value});
  REQUIRE(store->write(ops, {3, index, {}}).is_ok());
}

StateHash hash_of(MemoryStore* store) {
  auto view = store->open_view();
  Result<StateHash> hash = hash_state(**view, [] { return false; });
  REQUIRE(hash);
  return *hash;
}

StateHash hash_of(const std::vector<Pair>& pairs) {
  MemoryStore store;
  write(&store, pairs, 7);
  return hash_of(&store);
}

TEST_CASE("equal states have equal hashes, however they were written") {
  MemoryStore store;
  write(&store, {{0, "b", "2"}}, 1);
  write(&store, {{0, "gone", "x"}, {2, "p", "q"}}, 2);
  write(&store, {{0, "a", "1"}}, 3);
  REQUIRE(store.write(std::vector<WriteOp>{{WriteOp::Kind::kDelete, 0, "gone", {}}}, {3, 7, {}})
              .is_ok());
  const StateHash hash = hash_of(&store);
  CHECK(hash.hash == hash_of({{0, "a", "1"}, {0, "b", "2"}, {2, "p", "q"}}).hash);
  CHECK(hash.index == 7);
  CHECK(hash.term == 3);
  CHECK(hash.pairs == 3);
}

TEST_CASE("any difference shows") {
  const uint64_t base = hash_of({{0, "ab", "c"}, {0, "d", ""}}).hash;
  CHECK(base != hash_of({{0, "a", "bc"}, {0, "d", ""}}).hash);  // the border of key and value
  CHECK(base != hash_of({{0, "ab", "cd"}}).hash);
  CHECK(base != hash_of({{0, "ab", "c"}}).hash);
  CHECK(base != hash_of({{0, "ab", "c"}, {2, "d", ""}}).hash);  // the space
  CHECK(base != hash_of({{0, "ab", "C"}, {0, "d", ""}}).hash);
}

TEST_CASE("a long hash stops when told") {
  MemoryStore store;
  std::vector<Pair> many;
  for (int i = 0; i < 1'000; ++i) many.push_back({0, std::to_string(i), "v"});
  write(&store, many, 1);
  auto view = store.open_view();
  CHECK(hash_state(**view, [] { return true; }).status().code() == Code::kCancelled);
}

}  // namespace
}  // namespace kvstore::kv
