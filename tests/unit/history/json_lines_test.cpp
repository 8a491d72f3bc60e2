// Goal: a history survives being written and read again, and a recorder keeps what was answered.
// Method: every field is given a value of its own; two threads record at once.
#include "support/history/json_lines.hpp"

#include <sstream>
#include <thread>

#include <doctest/doctest.h>

#include "history_testing.hpp"
#include "support/history/recorder.hpp"

namespace kvstore::history {
namespace {

TEST_CASE("a history is read as it was written") {
  Operation first = ok(1, 2, {expect("k", 3), present("k", "a\n\"'", 3), put("k", "b", 4)}, 9);
  first.client = 7;
  first.node = "n1";
  History history = {first, not_held(3, 4, {expect("x", 0), remove("x")}),
                     unknown(5, {put("y", "")}), not_done(6, 7, {absent("z")})};
  std::stringstream text;
  write_json_lines(text, history);
  Result<History> read = read_json_lines(text);
  REQUIRE(read.is_ok());
  CHECK(*read == history);
}

TEST_CASE("a line that is no operation is named") {
  std::stringstream text(to_json_line(ok(1, 2, {absent("k")})) + "\n\n{\"client\": 1}\n");
  Result<History> read = read_json_lines(text);
  REQUIRE_FALSE(read.is_ok());
  CHECK(read.status().message() == "line 3 is no operation");
  std::stringstream garbage("not json");
  CHECK_FALSE(read_json_lines(garbage).is_ok());
}

TEST_CASE("a recorder keeps what was called and what was answered") {
  Recorder recorder;
  auto work = [&recorder](uint64_t client) {
    for (uint64_t i = 0; i < 500; ++i) {
      Operation op = ok(2 * i, 2 * i + 1, {put("k" + std::to_string(client), std::to_string(i))});
      op.client = client;
      size_t number = recorder.call(op);
      if (i != 499) recorder.finish(number, op);
    }
  };
  std::thread other(work, 1);
  work(2);
  other.join();
  History history = recorder.history();
  REQUIRE(history.size() == 1000);
  size_t open = 0;
  for (const Operation& op : history) open += op.outcome == Outcome::kUnknown ? 1 : 0;
  CHECK(open == 2);
  CHECK(check(history));
}

}  // namespace
}  // namespace kvstore::history
