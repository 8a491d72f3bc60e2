// Goal: history stays as long as it is among the newest revisions or young, and never takes more
// than its bytes; what goes, goes in pieces.
// Method: states as the machine would report them, one revision a second unless a case says else.
#include "node/history_retention.hpp"

#include <doctest/doctest.h>

namespace kvstore::node {
namespace {

constexpr uint64_t kStartMs = 1'000'000;
constexpr uint64_t kSecondMs = 1'000;

HistoryState at(uint64_t revision, uint64_t time_ms, uint64_t compacted = 0) {
  return {revision, time_ms, compacted, compacted + 1, (revision - compacted) * 100};
}

// The revision that is due to be given up; 0: nothing.
uint64_t due(HistoryRetention& retention, uint64_t now_ms) {
  auto compact = retention.due(now_ms);
  return compact ? compact->revision : 0;
}

// Revisions 1..n, one a second from kStartMs on; returns the time of the last.
uint64_t write(HistoryRetention& retention, uint64_t n) {
  for (uint64_t r = 1; r <= n; r++) retention.on_applied(at(r, kStartMs + r * kSecondMs));
  return kStartMs + n * kSecondMs;
}

TEST_CASE("a revision goes when it is neither among the newest nor young") {
  HistoryRetention retention({1'000, 640 * kSecondMs, 1 << 30});
  const uint64_t end_ms = write(retention, 5'000);
  // By count 4000 could go, by age those of 640 s ago; ages are known to 10 s.
  const uint64_t target = due(retention, end_ms);
  CHECK(target <= 4'000);
  CHECK(target == 4'000);
  HistoryRetention slow({100, 640 * kSecondMs, 1 << 30});
  write(slow, 5'000);
  const uint64_t by_age = due(slow, end_ms);
  CHECK(by_age <= 5'000 - 640);
  CHECK(by_age >= 5'000 - 640 - 11);
}

TEST_CASE("few or young revisions stay") {
  HistoryRetention few({1'000, 640 * kSecondMs, 1 << 30});
  const uint64_t end_ms = write(few, 1'000);
  CHECK(due(few, end_ms) == 0);
  CHECK(due(few, end_ms + 24 * 3'600 * kSecondMs) == 0);
  HistoryRetention young({10, 640 * kSecondMs, 1 << 30});
  write(young, 600);
  CHECK(due(young, kStartMs + 600 * kSecondMs) == 0);
  CHECK(due(young, kStartMs + 639 * kSecondMs) == 0);
}

TEST_CASE("with nothing to be kept only the newest state stays") {
  HistoryRetention retention({0, 0, 1 << 30});
  const uint64_t end_ms = write(retention, 50);
  CHECK(due(retention, end_ms) == 50);
}

TEST_CASE("revisions age while nothing is written") {
  HistoryRetention retention({10, 640 * kSecondMs, 1 << 30});
  const uint64_t end_ms = write(retention, 100);
  CHECK(due(retention, end_ms) == 0);
  CHECK(due(retention, end_ms + 650 * kSecondMs) == 90);
}

TEST_CASE("after a start everything counts as made at the newest time") {
  HistoryRetention retention({10, 640 * kSecondMs, 1 << 30});
  const uint64_t end_ms = write(retention, 2'000);
  HistoryRetention restarted({10, 640 * kSecondMs, 1 << 30});
  restarted.reset(at(2'000, end_ms));
  CHECK(due(retention, end_ms) > 1'000);
  CHECK(due(restarted, end_ms + 639 * kSecondMs) == 0);
  CHECK(due(restarted, end_ms + 640 * kSecondMs) == 1'990);
  retention.reset(at(2'000, end_ms));  // a snapshot
  CHECK(due(retention, end_ms) == 0);
}

TEST_CASE("a clock that goes back makes nothing older or younger") {
  HistoryRetention retention({10, 640 * kSecondMs, 1 << 30});
  const uint64_t end_ms = write(retention, 2'000);
  CHECK(due(retention, 5) == due(retention, end_ms));
  CHECK(due(retention, 5) != 0);
}

TEST_CASE("above its bytes the oldest history goes, however young") {
  HistoryRetention retention({1'000'000, 3'600 * kSecondMs, 80'000});
  retention.on_applied(at(800, kStartMs));
  CHECK(due(retention, kStartMs) == 0);
  retention.on_applied(at(1'000, kStartMs));  // 100,000 bytes
  const uint64_t target = due(retention, kStartMs);
  CHECK(target == 300);  // leaves 70,000 bytes, an eighth below the bound
  retention.on_applied(at(1'000, kStartMs, target));
  CHECK(due(retention, kStartMs) == 0);
}

TEST_CASE("one heavy revision goes by itself when nothing else is left") {
  HistoryRetention retention({10, 3'600 * kSecondMs, 1'000});
  HistoryState state = at(7, kStartMs, 6);
  state.history_bytes = 5'000;
  retention.on_applied(state);
  CHECK(due(retention, kStartMs) == 7);
}

TEST_CASE("what is given up is removed in pieces, larger ones when it falls behind") {
  HistoryRetention retention({10, 0, 1 << 30});
  HistoryState state = at(50'000, kStartMs);
  retention.on_applied(state);
  auto compact = retention.due(kStartMs);
  REQUIRE(compact);
  CHECK(compact->revision == 49'990);
  state.compacted_revision = 49'990;
  state.oldest_change = 1'001;
  retention.on_applied(state);
  compact = retention.due(kStartMs);
  REQUIRE(compact);
  CHECK(compact->revision == 49'990);
  CHECK(compact->changes_max == kv::kCompactChangesMax);
  state.oldest_change = 49'000;
  retention.on_applied(state);
  CHECK(retention.due(kStartMs)->changes_max == 1'000);
  state.oldest_change = 49'991;
  retention.on_applied(state);
  CHECK_FALSE(retention.due(kStartMs).has_value());
}

TEST_CASE("a few revisions wait for more, but not for long") {
  HistoryRetention retention({1'600, 0, 1 << 30});
  retention.on_applied(at(2'000, kStartMs));
  CHECK(due(retention, kStartMs) == 400);
  retention.on_applied(at(2'100, kStartMs, 400));
  CHECK(due(retention, kStartMs + 9 * kSecondMs) == 0);
  CHECK(due(retention, kStartMs + 10 * kSecondMs) == 500);
  retention.on_applied(at(2'201, kStartMs, 500));
  CHECK(due(retention, kStartMs + 11 * kSecondMs) == 601);
}

}  // namespace
}  // namespace kvstore::node
