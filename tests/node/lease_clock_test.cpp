// Goal: a lease is never due before its time, always soon after, and not any more once it was kept
// alive; what may be ending is not kept alive.
// Method: a table that is told times and changes, step by step; and random lives against a plain
// reckoning.
#include "node/lease_clock.hpp"

#include <map>
#include <random>

#include <doctest/doctest.h>

#include "kv/lease_records.hpp"

namespace kvstore::node {
namespace {

constexpr uint64_t kTtlMs = 1000;

kv::LeaseChange granted(uint64_t id, uint64_t generation, uint64_t ttl_ms = kTtlMs) {
  return {id, generation, ttl_ms, false};
}
kv::LeaseChange gone(uint64_t id) {
  return {id, 0, 0, false};
}

struct Fixture {
  LeaseClock clock;
  uint64_t now_ms = 5000;

  Fixture() {
    clock.advance(now_ms);
    clock.begin_leading();
  }
  void apply(std::vector<kv::LeaseChange> changes, bool reset = false) {
    clock.apply({reset, std::move(changes)});
  }
  // In steps as ticks make them.
  void pass(uint64_t ms) {
    while (ms > 0) {
      const uint64_t step = std::min<uint64_t>(ms, 100);
      clock.advance(now_ms += step);
      ms -= step;
    }
  }
  std::vector<kv::LeaseRef> due() { return clock.take_due(100); }
};

TEST_CASE("a lease is due after its time and not before") {
  Fixture f;
  f.apply({granted(7, 3)});
  f.pass(kTtlMs);
  CHECK(f.due().empty());
  f.pass(1);  // times are cut to milliseconds
  CHECK(f.due() == std::vector<kv::LeaseRef>{{7, 3}});
  CHECK(f.due().empty());  // once
}

TEST_CASE("TTLs of keys are counted apart") {
  Fixture f;
  const uint64_t own = kv::own_lease_id(5, 0), other = kv::own_lease_id(5, 1);
  f.apply({granted(7, 3), granted(own, 5), granted(other, 5)});
  f.apply({granted(own, 5)});
  CHECK(f.clock.size() == 3);
  CHECK(f.clock.own_count() == 2);
  f.apply({gone(other), gone(other), gone(8)});
  CHECK(f.clock.own_count() == 1);
  f.apply({granted(own, 5), granted(8, 6)}, true);
  CHECK(f.clock.size() == 2);
  CHECK(f.clock.own_count() == 1);
  f.apply({gone(own), gone(8)});
  CHECK(f.clock.own_count() == 0);
}

TEST_CASE("what ends because of its time is counted, and nothing else") {
  Fixture f;
  f.apply({granted(7, 3), granted(8, 4), granted(9, 5, 5 * kTtlMs), granted(10, 6, 5 * kTtlMs)});
  f.pass(kTtlMs + 1);
  CHECK(f.due().size() == 2);
  f.clock.end_not_proposed({{8, 4}});
  CHECK(f.clock.renew(8));
  f.apply({{7, 3, kTtlMs, true}});  // a first piece
  CHECK(f.due().size() == 1);
  CHECK(f.clock.ended() == 0);
  f.apply({gone(7), gone(7)});
  CHECK(f.clock.ended() == 1);
  f.apply({gone(8)});                   // deleted
  f.apply({{9, 5, 5 * kTtlMs, true}});  // revoked, in pieces
  CHECK(f.due().size() == 1);
  f.apply({gone(9), gone(10)});
  CHECK(f.clock.ended() == 1);
}

TEST_CASE("a lease that somebody else ends is not due meanwhile") {
  Fixture f;
  f.apply({granted(7, 3)});
  f.clock.hold(7);
  f.clock.hold(7);
  f.apply({{7, 3, kTtlMs, true}});
  CHECK(f.due().empty());
  f.clock.release(7);
  f.pass(kTtlMs + 1);
  CHECK(f.due().empty());
  f.clock.release(7);
  CHECK(f.due() == std::vector<kv::LeaseRef>{{7, 3}});
  f.clock.release(7);
  f.clock.hold(8);
  f.apply({granted(8, 4)});
  f.clock.release(8);
  f.pass(kTtlMs + 1);
  CHECK(f.due() == std::vector<kv::LeaseRef>{{8, 4}});
}

TEST_CASE("a lease that is kept alive has its full time again") {
  Fixture f;
  f.apply({granted(7, 3)});
  f.pass(900);
  CHECK(f.clock.find(7)->remaining_ms == 101);
  CHECK(f.clock.renew(7));
  CHECK(f.clock.find(7)->remaining_ms == kTtlMs);
  f.pass(kTtlMs);
  CHECK(f.due().empty());
  f.pass(1);
  CHECK(f.due().size() == 1);
  CHECK_FALSE(f.clock.renew(8));
}

TEST_CASE("a lease whose end is on its way is not kept alive, unless no log has the command") {
  Fixture f;
  f.apply({granted(7, 3)});
  f.pass(kTtlMs + 1);
  const std::vector<kv::LeaseRef> due = f.due();
  CHECK_FALSE(f.clock.renew(7));
  CHECK(f.clock.find(7)->ends);
  SUBCASE("refused") {
    f.clock.end_not_proposed(due);
    CHECK(f.clock.renew(7));
    f.pass(kTtlMs + 1);
    CHECK(f.due() == due);
  }
  SUBCASE("refused, and nobody keeps it alive") {
    f.clock.end_not_proposed(due);
    CHECK(f.due() == due);
  }
  SUBCASE("refused for an earlier lease of the same id") {
    f.apply({gone(7), granted(7, 9)});
    f.clock.end_not_proposed(due);
    CHECK(f.due().empty());
    CHECK(f.clock.renew(7));
  }
  SUBCASE("a list of all leases does not make it live again") {
    f.apply({granted(7, 3)}, true);
    CHECK_FALSE(f.clock.renew(7));
  }
}

TEST_CASE("a lease that is granted anew begins anew") {
  Fixture f;
  f.apply({granted(7, 3)});
  f.pass(900);
  f.apply({gone(7), granted(7, 9)});
  f.pass(kTtlMs);
  CHECK(f.due().empty());
  f.pass(1);
  CHECK(f.due() == std::vector<kv::LeaseRef>{{7, 9}});
}

TEST_CASE("who begins to lead gives every lease its full time, and tries each end again") {
  Fixture f;
  f.apply({granted(7, 3), granted(8, 4, 10 * kTtlMs)});
  f.pass(5000);
  CHECK(f.due().size() == 1);
  f.clock.begin_leading();
  CHECK(f.clock.find(7)->remaining_ms == kTtlMs);
  CHECK(f.clock.find(8)->remaining_ms == 10 * kTtlMs);
  CHECK(f.clock.renew(7));
  f.pass(kTtlMs);
  CHECK(f.due().empty());
  f.pass(1);
  CHECK(f.due() == std::vector<kv::LeaseRef>{{7, 3}});
}

TEST_CASE("a lease with keys left is due again as soon as a piece is gone") {
  Fixture f;
  f.apply({granted(7, 3)});
  f.apply({{7, 3, kTtlMs, true}});
  CHECK_FALSE(f.clock.renew(7));
  CHECK(f.due() == std::vector<kv::LeaseRef>{{7, 3}});
  CHECK(f.due().empty());
  f.apply({{7, 3, kTtlMs, true}});
  CHECK(f.due().size() == 1);
  f.apply({gone(7)});
  CHECK(f.due().empty());
  CHECK(f.clock.size() == 0);
}

TEST_CASE("a stopped node does not find everything over when it goes on") {
  Fixture f;
  f.apply({granted(7, 3, 60'000)});
  f.clock.advance(f.now_ms += 3'600'000);
  CHECK(f.due().empty());
  CHECK(f.clock.find(7)->remaining_ms >= 60'000 - LeaseClock::kStepMaxMs);
  f.clock.advance(f.now_ms - 1000);  // a clock never goes back; if it did, time would stand still
  f.pass(60'000);
  CHECK(f.due().size() == 1);
}

TEST_CASE("at most as many as asked for are due at once") {
  Fixture f;
  for (uint64_t id = 1; id <= 10; ++id) f.apply({granted(id, id)});
  f.pass(kTtlMs + 1);
  CHECK(f.clock.take_due(4).size() == 4);
  CHECK(f.clock.take_due(4).size() == 4);
  CHECK(f.clock.take_due(4).size() == 2);
}

TEST_CASE("lists are pages of granted leases in order") {
  Fixture f;
  f.apply({granted(9, 1), granted(7, 2), granted(kv::own_lease_id(5, 0), 5)});
  std::vector<LeaseClock::Lease> page = f.clock.list(0, 10);
  REQUIRE(page.size() == 2);
  CHECK(page[0].id == 7);
  CHECK(page[1].id == 9);
  page = f.clock.list(7, 1);
  REQUIRE(page.size() == 1);
  CHECK(page[0].id == 9);
  CHECK(f.clock.list(9, 10).empty());
}

TEST_CASE("random lives end when they should") {
  std::mt19937_64 random(5);
  const auto below = [&random](uint64_t n) { return random() % n; };
  Fixture f;
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> ends;  // by id: when, and the ttl
  uint64_t ended = 0;
  for (uint64_t turn = 1; turn <= 20'000; ++turn) {
    const uint64_t id = 1 + below(50);
    if (ends.count(id) == 0) {
      const uint64_t ttl_ms = 100 + below(2000);
      f.apply({granted(id, turn, ttl_ms)});
      ends[id] = {f.now_ms + ttl_ms, ttl_ms};
    } else if (below(3) == 0) {
      f.apply({gone(id)});
      ends.erase(id);
    } else {
      REQUIRE(f.clock.renew(id));
      ends[id].first = f.now_ms + ends[id].second;
    }
    f.pass(1 + below(20));
    for (const kv::LeaseRef& lease : f.due()) {
      REQUIRE(ends.count(lease.id) == 1);
      CHECK(f.now_ms > ends[lease.id].first);
      ends.erase(lease.id);
      f.apply({gone(lease.id)});
      ++ended;
    }
    for (const auto& [living, end] : ends) CHECK(f.now_ms <= end.first + 1);
  }
  CHECK(ended > 500);
}

}  // namespace
}  // namespace kvstore::node
