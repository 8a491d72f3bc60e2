// Goal: RaftLog keeps terms, entries and its memory bound right under every kind of change.
// Method: small cases by hand, then random operations against a plain vector.
#include "raft/raft_log.hpp"

#include <doctest/doctest.h>

#include "node_fixture.hpp"
#include "raft/detail/random.hpp"

namespace kvstore::raft::testing {

namespace {

RaftLog log_of(std::initializer_list<uint64_t> terms, LogId base = {}) {
  RaftLog log(base, 1 << 20);
  for (uint64_t term : terms) log.append(make_entry(term, log.last().index.value + 1));
  return log;
}

}  // namespace

TEST_CASE("raft log: a new log ends at its base") {
  const RaftLog log({{3}, {7}}, 100);
  CHECK(log.last() == LogId{{3}, {7}});
  CHECK(log.first_index() == Index{8});
  CHECK(log.term_at({7}) == Term{3});
  CHECK_FALSE(log.term_at({6}));
  CHECK_FALSE(log.term_at({8}));
  CHECK(log.first_cached() == Index{8});
}

TEST_CASE("raft log: terms by run") {
  const RaftLog log = log_of({1, 1, 3, 3, 3, 4});
  const uint64_t terms[] = {0, 1, 1, 3, 3, 3, 4};
  for (uint64_t i = 0; i < 7; ++i) CHECK(log.term_at({i}) == Term{terms[i]});
  CHECK(log.contains({{3}, {4}}));
  CHECK_FALSE(log.contains({{2}, {4}}));
}

TEST_CASE("raft log: the last entry at or below a term skips whole runs") {
  const RaftLog log = log_of({2, 2, 4, 4, 6}, {{1}, {10}});
  CHECK(log.last_at_or_below({15}, {9}) == LogId{{6}, {15}});
  CHECK(log.last_at_or_below({99}, {5}) == LogId{{4}, {14}});
  CHECK(log.last_at_or_below({13}, {5}) == LogId{{4}, {13}});
  CHECK(log.last_at_or_below({15}, {3}) == LogId{{2}, {12}});
  CHECK(log.last_at_or_below({15}, {1}) == LogId{{1}, {10}});
  CHECK(log.last_at_or_below({15}, {0}) == LogId{{1}, {10}});  // the base is the end of the way
  CHECK(log.last_at_or_below({3}, {9}) == LogId{{1}, {10}});
}

TEST_CASE("raft log: truncation gives back the state before the entries") {
  RaftLog log = log_of({1, 1, 2, 2, 3});
  log.truncate_from({4});
  CHECK(log.last() == LogId{{2}, {3}});
  log.append(make_entry(5, 4));
  CHECK(log.term_at({4}) == Term{5});
  log.truncate_from({1});
  CHECK(log.last() == LogId{});
  CHECK(log.cached_bytes() == 0);
}

TEST_CASE("raft log: compaction keeps the term at the new base") {
  RaftLog log = log_of({1, 1, 2, 2, 3});
  log.compact({3});
  CHECK(log.base() == LogId{{2}, {3}});
  CHECK_FALSE(log.term_at({2}));
  CHECK(log.term_at({3}) == Term{2});
  CHECK(log.term_at({4}) == Term{2});
  log.compact({2});  // older: nothing
  CHECK(log.base() == LogId{{2}, {3}});
  log.compact({5});
  CHECK(log.base() == log.last());
  log.append(make_entry(3, 6));
  CHECK(log.term_at({6}) == Term{3});
}

TEST_CASE("raft log: reset starts after the new base") {
  RaftLog log = log_of({1, 1, 2});
  log.reset({{9}, {40}});
  CHECK(log.last() == LogId{{9}, {40}});
  CHECK_FALSE(log.term_at({3}));
  log.append(make_entry(9, 41));
  CHECK(log.cached({41}, {41}, 1).size() == 1);
}

TEST_CASE("raft log: cached entries by bytes, at least one") {
  RaftLog log = log_of({1, 1, 1, 1});
  const uint64_t one = entry_bytes(make_entry(1, 1));
  CHECK(log.cached({1}, {4}, 1).size() == 1);
  CHECK(log.cached({1}, {4}, 2 * one).size() == 2);
  CHECK(log.cached({2}, {3}, 100 * one).size() == 2);
  CHECK(log.cached({2}, {99}, 100 * one).size() == 3);
  CHECK(log.cached({5}, {9}, 100 * one).empty());
}

TEST_CASE("raft log: the cache drops its oldest entries, but nothing above the pin") {
  const uint64_t one = entry_bytes(make_entry(1, 1));
  RaftLog log({}, 2 * one);
  for (uint64_t i = 1; i <= 6; ++i) log.append(make_entry(1, i));
  log.trim_cache({3});
  CHECK(log.first_cached() == Index{4});
  CHECK(log.cached_bytes() == 3 * one);
  CHECK(log.cached({3}, {6}, 100 * one).empty());
  CHECK(log.cached({4}, {6}, 100 * one).size() == 3);
  log.trim_cache({6});
  CHECK(log.first_cached() == Index{5});  // within the bound again
  log.truncate_from({3});                 // below everything cached
  CHECK(log.first_cached() == Index{3});
  CHECK(log.cached_bytes() == 0);
}

TEST_CASE("raft log: restore keeps the newest entries and remembers configurations") {
  const uint64_t one = entry_bytes(make_entry(1, 1));
  RaftLog log({}, 2 * one);
  log.restore(make_entry(1, 1));
  log.restore(make_entry(1, 2, voters({1}).encode(), EntryKind::kConfiguration));
  for (uint64_t i = 3; i <= 8; ++i) log.restore(make_entry(2, i));
  CHECK(log.last() == LogId{{2}, {8}});
  CHECK(log.first_cached() == Index{7});
  REQUIRE(log.restored_configurations().size() == 1);
  CHECK(log.restored_configurations()[0].id.index == Index{2});
}

TEST_CASE("raft log: random operations agree with a plain vector") {
  Random random(7);
  for (int round = 0; round < 200; ++round) {
    RaftLog log({}, 300);
    std::vector<uint64_t> terms{0};  // by index; terms[0] is the base of a new log
    uint64_t base = 0, term = 1;
    for (int i = 0; i < 60; ++i) {
      const uint64_t last = terms.size() - 1;
      switch (random.below(5)) {
        case 0:
          if (last > base) {
            const uint64_t from = base + 1 + random.below(static_cast<uint32_t>(last - base));
            log.truncate_from({from});
            terms.resize(from);
            term = std::max(term, terms.back());
          }
          break;
        case 1:
          if (last > base && random.below(3) == 0) {
            base += 1 + random.below(static_cast<uint32_t>(last - base));
            log.compact({base});
          }
          break;
        case 2:
          log.trim_cache({random.below(60)});
          break;
        default:
          term += random.below(4) == 0;
          log.append(make_entry(term, terms.size()));
          terms.push_back(term);
      }
      REQUIRE(log.last().index.value == terms.size() - 1);
      REQUIRE(log.base().index.value == base);
      for (uint64_t index = base; index < terms.size(); ++index)
        REQUIRE(log.term_at({index}) == Term{terms[index]});
      const uint64_t asked = random.below(8);
      uint64_t expected = terms.size() - 1;
      while (expected > base && terms[expected] > asked) --expected;
      REQUIRE(log.last_at_or_below(log.last().index, {asked}).index.value == expected);
    }
  }
}

}  // namespace kvstore::raft::testing
