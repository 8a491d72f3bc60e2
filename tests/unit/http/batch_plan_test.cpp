// Goal: a batch is few transactions, and the order of its operations on one key is kept.
// Method: small batches and the waves that they become; random batches against the rules.
#include "handlers/batch_plan.hpp"

#include <map>
#include <random>
#include <set>

#include <doctest/doctest.h>

using namespace kvstore;
using namespace kvstore::http;

namespace {

BatchOp op_of(OpName name, const std::string& key, size_t value_bytes = 0) {
  BatchOp out;
  out.op.name = name;
  out.op.range.key = key;
  out.op.value.assign(value_bytes, 'v');
  return out;
}

BatchOp put(const std::string& key, size_t value_bytes = 0) {
  return op_of(OpName::kPut, key, value_bytes);
}
BatchOp get(const std::string& key) {
  return op_of(OpName::kGet, key);
}

using Units = std::vector<BatchUnit>;

}  // namespace

TEST_CASE("writes without conditions share a transaction") {
  const auto waves = plan_batch({put("a"), op_of(OpName::kDelete, "b"), get("c"), put("d")}, {});
  REQUIRE(waves.size() == 1);
  CHECK(waves[0].writes == Units{{0, 1, 3}});
  CHECK(waves[0].gets == std::vector<uint32_t>{2});
}

TEST_CASE("a condition or prev has a transaction of its own") {
  std::vector<BatchOp> ops = {put("a"), put("b"), put("c"), put("d")};
  ops[1].if_absent = true;
  ops[2].op.flags = KVS_OP_PREV;
  const auto waves = plan_batch(ops, {});
  REQUIRE(waves.size() == 1);
  CHECK(waves[0].writes == Units{{0, 3}, {1}, {2}});
}

TEST_CASE("a transaction is full by operations or by bytes") {
  BatchBounds bounds;
  bounds.unit_ops_max = 2;
  CHECK(plan_batch({put("a"), put("b"), put("c")}, bounds)[0].writes == Units{{0, 1}, {2}});
  bounds = {};
  bounds.unit_bytes_max = 100;
  CHECK(
      plan_batch({put("a", 50), put("b", 60), put("c", 1), put("d", 1000), put("e", 1)}, bounds)[0]
          .writes == Units{{0}, {1, 2}, {3}, {4}});
}

TEST_CASE("operations on one key come one after the other, a read in the wave of its write") {
  const auto waves = plan_batch({put("a"), get("a"), put("a"), get("a"), get("b")}, {});
  REQUIRE(waves.size() == 2);
  CHECK(waves[0].writes == Units{{0}});
  CHECK(waves[0].gets == std::vector<uint32_t>{1, 4});
  CHECK(waves[1].writes == Units{{2}});
  CHECK(waves[1].gets == std::vector<uint32_t>{3});
}

TEST_CASE(
    "random batches: all operations once, per key in order, no key twice in a wave's writes") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<BatchOp> ops;
    for (uint32_t i = 0; i < 1 + random() % 60; ++i) {
      ops.push_back(
          op_of(static_cast<OpName>(random() % 3), std::to_string(random() % 12), random() % 40));
      if (random() % 5 == 0 && ops.back().op.writes()) ops.back().if_mod_revision = 1;
    }
    BatchBounds bounds;
    bounds.unit_ops_max = 1 + random() % 5;
    bounds.unit_bytes_max = 30;
    std::set<uint32_t> seen;
    std::map<std::string, uint32_t> newest;
    const auto visit = [&](uint32_t i) {
      CHECK(seen.insert(i).second);
      const auto [found, is_new] = newest.try_emplace(ops[i].op.range.key, i);
      CHECK((is_new || found->second < i));
      found->second = i;
    };
    for (const BatchWave& wave : plan_batch(ops, bounds)) {
      std::set<std::string> keys;
      for (const BatchUnit& unit : wave.writes) {
        CHECK(!unit.empty());
        CHECK(unit.size() <= bounds.unit_ops_max);
        for (const uint32_t i : unit) {
          CHECK(keys.insert(ops[i].op.range.key).second);
          visit(i);
        }
      }
      for (const uint32_t i : wave.gets) visit(i);
    }
    CHECK(seen.size() == ops.size());
  }
}
