// Goal: the checker accepts what one register could have answered and refuses everything else.
// Method: histories by hand, one per rule, most of them once good and once bad.
#include "support/history/linearizability.hpp"

#include <doctest/doctest.h>

#include "history_testing.hpp"

namespace kvstore::history {
namespace {

bool good(const History& history) {
  CheckResult result = check(history);
  CHECK((result.verdict == Verdict::kLinearizable) == result.report.empty());
  return result.verdict == Verdict::kLinearizable;
}
bool bad(const History& history) {
  CheckResult result = check(history);
  CHECK_FALSE(result.report.empty());
  return result.verdict == Verdict::kViolation && !check(result.offending);
}

TEST_CASE("reads see what was written before, in the order of time") {
  CHECK(good({}));
  CHECK(good({ok(1, 2, {absent("k")}), ok(3, 4, {put("k", "a")}), ok(5, 6, {present("k", "a")})}));
  CHECK(bad({ok(1, 2, {put("k", "a")}), ok(3, 4, {absent("k")})}));
  CHECK(bad({ok(1, 2, {put("k", "a")}), ok(3, 4, {put("k", "b")}), ok(5, 6, {present("k", "a")})}));
  CHECK(bad({ok(1, 2, {put("k", "a")}), ok(3, 4, {present("k", "never written")})}));
}

TEST_CASE("what overlaps may have happened in any order, but in one for all") {
  History history = {ok(1, 10, {put("k", "a")}), ok(1, 10, {put("k", "b")}),
                     ok(2, 3, {present("k", "a")}), ok(4, 5, {present("k", "b")})};
  CHECK(good(history));
  history.push_back(ok(6, 7, {present("k", "a")}));
  CHECK(bad(history));
  // Two readers that see the two writes in different orders.
  CHECK(bad({ok(1, 20, {put("k", "a")}), ok(1, 20, {put("k", "b")}), ok(2, 3, {present("k", "a")}),
             ok(4, 5, {present("k", "b")}), ok(30, 31, {present("k", "a")})}));
}

TEST_CASE("equal times count as overlapping") {
  CHECK(good({ok(1, 2, {put("k", "a")}), ok(2, 3, {absent("k")})}));
}

TEST_CASE("an unknown write happens once, at any later time, or never") {
  History history = {unknown(1, {put("k", "a")}), ok(2, 3, {absent("k")})};
  CHECK(good(history));
  history.push_back(ok(100, 101, {present("k", "a")}));
  CHECK(good(history));
  history.push_back(ok(102, 103, {absent("k")}));  // it cannot be undone
  CHECK(bad(history));
  // Nor happen twice, nor before it was asked for.
  CHECK(bad({unknown(1, {put("k", "a")}), ok(2, 3, {present("k", "a")}), ok(4, 5, {put("k", "b")}),
             ok(6, 7, {present("k", "a")})}));
  CHECK(bad({ok(1, 2, {present("k", "a")}), unknown(3, {put("k", "a")})}));
}

TEST_CASE("an unknown delete and unknown writes of equal values") {
  CHECK(good({ok(1, 2, {put("k", "a")}), unknown(3, {remove("k")}), ok(4, 5, {present("k", "a")}),
              ok(6, 7, {absent("k")})}));
  CHECK(good({unknown(1, {put("k", "a")}), unknown(1, {put("k", "a")}), ok(2, 3, {put("k", "b")}),
              ok(4, 5, {present("k", "a")}), ok(6, 7, {put("k", "c")}),
              ok(8, 9, {present("k", "a")})}));
  CHECK(bad({unknown(1, {put("k", "a")}), ok(2, 3, {put("k", "b")}), ok(4, 5, {present("k", "a")}),
             ok(6, 7, {put("k", "c")}), ok(8, 9, {present("k", "a")})}));
}

TEST_CASE("what was not done has no effect") {
  CHECK(good({not_done(1, 2, {put("k", "a")}), ok(3, 4, {absent("k")})}));
  CHECK(bad({not_done(1, 2, {put("k", "a")}), ok(3, 4, {present("k", "a")})}));
}

TEST_CASE("expectations are judged at the instant of the operation") {
  CHECK(good({ok(1, 2, {put("k", "a", 5)}), ok(3, 4, {expect("k", 5), put("k", "b", 6)}),
              not_held(5, 6, {expect("k", 5), put("k", "c")}), ok(7, 8, {present("k", "b", 6)})}));
  CHECK(bad({ok(1, 2, {put("k", "a", 5)}), not_held(3, 4, {expect("k", 5), put("k", "b")})}));
  CHECK(bad({ok(1, 2, {put("k", "a", 5)}), ok(3, 4, {put("k", "b", 6)}),
             ok(5, 6, {expect("k", 5), put("k", "c", 7)})}));
  CHECK(good({ok(1, 2, {expect("k", 0), put("k", "a", 5)}),
              not_held(3, 4, {expect("k", 0), put("k", "b")}), ok(5, 6, {remove("k")}),
              ok(7, 8, {expect("k", 0), put("k", "b", 7)})}));
  // Both of two that expect the same version.
  CHECK(bad({ok(1, 2, {put("k", "a", 5)}), ok(3, 9, {expect("k", 5), put("k", "b", 6)}),
             ok(3, 9, {expect("k", 5), put("k", "c", 7)})}));
}

TEST_CASE("versions belong to their values and grow") {
  CHECK(bad({ok(1, 2, {put("k", "a", 5)}), ok(3, 4, {present("k", "a", 6)})}));
  CHECK(bad({ok(1, 2, {put("k", "a", 5)}), ok(3, 4, {put("k", "b", 4)})}));
  CHECK(bad({ok(1, 2, {put("k", "a", 5)}), ok(3, 4, {remove("k")}), ok(5, 6, {put("k", "b", 5)})}));
  // A version that nobody was told is learnt from the first who sees it.
  CHECK(good({ok(1, 2, {put("k", "a")}), ok(3, 4, {present("k", "a", 9)}),
              ok(5, 6, {expect("k", 9), put("k", "b")})}));
  CHECK(bad({ok(1, 2, {put("k", "a")}), ok(3, 4, {present("k", "a", 9)}),
             ok(5, 6, {present("k", "a", 8)})}));
}

TEST_CASE("transactions are atomic over their keys") {
  const Operation both = ok(1, 2, {put("x", "1"), put("y", "1")});
  CHECK(good({both, ok(3, 4, {present("x", "1"), present("y", "1")})}));
  CHECK(bad({both, ok(1, 9, {put("x", "2"), put("y", "2")}),
             ok(3, 4, {present("x", "2"), present("y", "1")})}));
  CHECK(bad({both, ok(3, 4, {present("x", "1"), absent("y")})}));
  // A cycle that no key shows by itself (write skew over two reads).
  CHECK(bad({ok(1, 9, {put("x", "2")}), ok(1, 9, {put("y", "2")}),
             ok(2, 3, {present("x", "2"), absent("y")}),
             ok(2, 3, {absent("x"), present("y", "2")})}));
}

TEST_CASE("gets of a transaction see the state before its writes") {
  CHECK(good({ok(1, 2, {put("k", "a")}), ok(3, 4, {present("k", "a"), put("k", "b")})}));
  CHECK(bad({ok(1, 2, {put("k", "a")}), ok(3, 4, {present("k", "b"), put("k", "b")})}));
}

TEST_CASE("revisions are compared across keys") {
  CHECK(good({ok(1, 2, {put("x", "1")}, 5), ok(3, 4, {put("y", "1")}, 6)}));
  CHECK(bad({ok(1, 2, {put("x", "1")}, 6), ok(3, 4, {put("y", "1")}, 5)}));
  CHECK(bad({ok(1, 2, {put("x", "1")}, 5), ok(1, 2, {put("y", "1")}, 5)}));
  CHECK(good({ok(1, 2, {put("x", "1")}, 5), ok(3, 4, {absent("y")}, 5)}));
  CHECK(bad({ok(1, 2, {put("x", "1")}, 5), ok(3, 4, {absent("y")}, 4)}));
}

TEST_CASE("the offending part is small and told in words") {
  History history;
  for (uint64_t i = 0; i < 200; ++i) {
    std::string value = "v" + std::to_string(i);
    history.push_back(ok(10 * i, 10 * i + 8, {put("k", value, i + 1)}, i + 1));
    history.push_back(ok(10 * i + 5, 10 * i + 9, {present("k", value, i + 1)}));
    history.push_back(ok(10 * i, 10 * i + 9, {put("other", value)}));
  }
  REQUIRE(good(history));
  history.push_back(ok(1503, 1504, {present("k", "v90", 91)}));
  CheckResult result = check(history);
  CHECK(result.verdict == Verdict::kViolation);
  CHECK(result.offending.size() <= 4);
  CHECK(result.report.find("get k -> 'v90' version 91") != std::string::npos);
  CHECK(result.report.find("the longest order") != std::string::npos);
}

TEST_CASE("giving up is neither good nor bad") {
  History history;
  for (uint64_t i = 0; i < 12; ++i) {
    history.push_back(ok(1, 100, {put("k", "v" + std::to_string(i % 3))}));
  }
  history.push_back(ok(200, 201, {present("k", "nobody wrote this")}));
  CheckOptions options;
  options.steps_max = 50;
  CheckResult result = check(history, options);
  CHECK(result.verdict == Verdict::kGaveUp);
  CHECK_FALSE(static_cast<bool>(result));
  CHECK_FALSE(result.report.empty());
}

}  // namespace
}  // namespace kvstore::history
