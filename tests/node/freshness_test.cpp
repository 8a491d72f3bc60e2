// Goal: a state is never taken for newer than what a leader's heartbeat proves.
// Method: tokens come back early, late, twice, from another life, and before the state is there.
#include "node/freshness.hpp"

#include <doctest/doctest.h>

namespace kvstore::node {
namespace {

constexpr uint64_t kBase = 1'000'000;

TEST_CASE("a token that comes back counts from when it was given, once the state is there") {
  Freshness fresh(kBase, 500);
  CHECK(fresh.fresh_ms() == 0);
  const uint64_t token = fresh.token(600);
  fresh.on_applied({4});
  fresh.on_told(token, {5}, 900);
  CHECK(fresh.fresh_ms() == 0);
  fresh.on_applied({5});
  CHECK(fresh.fresh_ms() == 600);
  fresh.on_told(fresh.token(700), {5}, 1'000);
  CHECK(fresh.fresh_ms() == 700);
  fresh.on_told(token, {5}, 1'100);  // once more, late
  CHECK(fresh.fresh_ms() == 700);
}

TEST_CASE("tokens of other lives and none at all say nothing") {
  Freshness fresh(kBase, 500);
  fresh.on_applied({9});
  for (uint64_t token : {uint64_t{0}, kBase - 1, fresh.token(2'001), UINT64_MAX}) {
    fresh.on_told(token, {1}, 2'000);
    CHECK(fresh.fresh_ms() == 0);
  }
  fresh.on_told(fresh.token(2'000), {1}, 2'000);
  CHECK(fresh.fresh_ms() == 2'000);
}

TEST_CASE("a node that lags remembers a bounded number of claims and catches up with them") {
  Freshness fresh(kBase, 0);
  for (uint64_t i = 1; i <= 1'000; ++i) fresh.on_told(fresh.token(i), {i}, 5'000);
  fresh.on_applied({10});
  CHECK(fresh.fresh_ms() == 10);
  fresh.on_applied({999});
  CHECK(fresh.fresh_ms() < 999);
  fresh.on_applied({1'000});
  CHECK(fresh.fresh_ms() == 1'000);
}

}  // namespace
}  // namespace kvstore::node
