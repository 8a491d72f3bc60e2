// Goal: a lease is counted from before its round's first message could leave, and ends at once with
// what it stands on.
// Method: the rounds of a leader are shown one by one with the time at which they are seen.
#include "node/leadership_clock.hpp"

#include <doctest/doctest.h>

namespace kvstore::node {
namespace {

LeaderSight sight(uint64_t round, uint64_t lease_round, uint64_t confirmed = 0) {
  LeaderSight s;
  s.leads = true;
  s.term = {3};
  s.ready = true;
  s.read_round = round;
  s.confirmed_round = confirmed;
  s.commit = {10 * round};
  s.lease = {lease_round, 600};
  return s;
}

TEST_CASE("the lease begins with its round, however late the answers come, and is shortened") {
  LeadershipClock clock(10);
  clock.look(sight(1, 0), 1'000);
  CHECK(clock.until_ms() == 0);
  clock.look(sight(2, 0), 1'100);
  clock.look(sight(2, 1), 1'400);
  CHECK(clock.until_ms() == 1'000 + 540);
  clock.look(sight(2, 2), 1'500);
  CHECK(clock.until_ms() == 1'100 + 540);
}

TEST_CASE("it ends with leadership, with the term and when consensus takes it back") {
  for (int way = 0; way < 3; ++way) {
    LeadershipClock clock(10);
    clock.look(sight(1, 1), 1'000);
    REQUIRE(clock.until_ms() == 1'540);
    LeaderSight next = sight(1, 1);
    if (way == 0) next.leads = false;
    if (way == 1) next.term = {4}, next.lease.round = 0;
    if (way == 2) next.lease.round = 0;
    clock.look(next, 1'001);
    CHECK(clock.until_ms() == 0);
  }
}

TEST_CASE("a single voter's lease has no end") {
  LeadershipClock clock(10);
  LeaderSight s = sight(1, 1);
  s.lease.promise_ms = UINT64_MAX;
  clock.look(s, 1'000);
  CHECK(clock.until_ms() == UINT64_MAX);
}

TEST_CASE("a confirmed round says when this node certainly led, with the commit index of then") {
  LeadershipClock clock(10);
  clock.look(sight(1, 0, 0), 1'000);
  CHECK_FALSE(clock.confirmed());
  clock.look(sight(2, 0, 1), 1'100);
  REQUIRE(clock.confirmed());
  CHECK(clock.confirmed()->at_ms == 1'000);
  CHECK(clock.confirmed()->commit == raft::Index{10});
  LeaderSight early = sight(1, 0, 0);
  early.term = {5};
  early.ready = false;  // its commit index may be old
  clock.look(early, 2'000);
  early.confirmed_round = 1;
  early.ready = true;
  clock.look(early, 2'050);
  CHECK_FALSE(clock.confirmed());
}

TEST_CASE("many rounds without an answer are not remembered without bound") {
  LeadershipClock clock(10);
  for (uint64_t round = 1; round <= 10'000; ++round) clock.look(sight(round, 0), 1'000 + round);
  clock.look(sight(10'000, 9'999, 9'999), 20'000);
  CHECK(clock.until_ms() <= 1'000 + 256 + 540);  // of an older round, which is the safe side
  clock.look(sight(10'001, 9'999, 9'999), 30'000);
  clock.look(sight(10'001, 10'001, 10'001), 30'001);
  CHECK(clock.until_ms() == 30'540);
}

}  // namespace
}  // namespace kvstore::node
