// Goal: a read is served only at an index that was confirmed for it, and always ends.
// Method: questions are answered, lost, refused and late, in every order that matters.
#include "node/read_table.hpp"

#include "table_testing.hpp"

namespace kvstore::node {
namespace {

raft::ReadResult answer(uint64_t token, uint64_t index) {
  return {token, Code::kOk, {index}};
}

TEST_CASE("a read waits for its answer and then for the state") {
  Ends ends;
  ReadTable table;
  table.on_applied({5}, {1}, 50);
  table.add(make_read(&ends, 1'000), 50);
  CHECK(table.has_unasked());
  table.ask(1, 0);
  CHECK_FALSE(table.has_unasked());
  table.on_result(answer(1, 7), {1});
  table.on_applied({6}, {1}, 60);
  CHECK(ends.reads.empty());
  table.on_applied({7}, {1}, 70);
  REQUIRE(ends.reads.size() == 1);
  CHECK(ends.reads[0].code == Code::kOk);
  CHECK(ends.reads[0].at.index == raft::Index{7});
}

TEST_CASE("an index that is applied already serves at once, and one answer serves all it was for") {
  Ends ends;
  ReadTable table;
  table.on_applied({5}, {1}, 50);
  table.add(make_read(&ends, 1'000), 50);
  table.add(make_read(&ends, 1'000), 50);
  table.ask(1, 0);
  table.add(make_read(&ends, 1'000), 50);  // came after the question
  table.on_result(answer(1, 5), {1});
  CHECK(ends.reads.size() == 2);
  CHECK(table.has_unasked());
  table.fail_all(Code::kClosed, "end");
  CHECK(ends.reads.size() == 3);
}

TEST_CASE("a refused or lost question is asked again under another token") {
  Ends ends;
  ReadTable table;
  table.add(make_read(&ends, 1'000), 0);
  table.ask(1, 0);
  table.on_result({1, Code::kNotLeader, {}}, {1});
  CHECK(table.has_unasked());
  table.ask(2, 10);
  table.tick(100, 350, true);
  CHECK_FALSE(table.has_unasked());
  table.tick(360, 350, true);
  CHECK(table.has_unasked());
  table.ask(3, 360);
  table.on_result(answer(2, 0), {1});  // the lost answer comes after all: it is not asked for
  CHECK(ends.reads.empty());
  table.on_result(answer(3, 0), {1});
  CHECK(ends.reads.size() == 1);
}

TEST_CASE("reads end at their deadlines wherever they wait") {
  Ends ends;
  ReadTable table;
  table.add(make_read(&ends, 100), 0);
  table.ask(1, 0);
  table.on_result(answer(1, 9), {1});                           // waits for the state
  table.add(make_read(&ends, 100, 7, Consistency::kStale), 0);  // waits for a revision
  table.add(make_read(&ends, 100), 0);
  table.ask(2, 0);                      // waits for an answer
  table.add(make_read(&ends, 100), 0);  // waits for a leader
  table.tick(99, 350, false);
  CHECK(ends.reads.empty());
  table.tick(100, 350, false);
  REQUIRE(ends.reads.size() == 4);
  int timeouts = 0;
  for (const ReadOutcome& o : ends.reads) {
    CHECK((o.code == Code::kTimeout || o.code == Code::kUnreachable));
    if (o.code == Code::kTimeout) ++timeouts;
  }
  CHECK(timeouts == 2);
  table.on_applied({9}, {1}, 9);
  table.on_result(answer(2, 0), {1});
  CHECK(ends.reads.size() == 4);
}

TEST_CASE("min_revision is waited for, by local reads and by confirmed ones") {
  Ends ends;
  ReadTable table;
  table.on_applied({5}, {1}, 50);
  table.add(make_read(&ends, 1'000, 50, Consistency::kStale), 50);
  CHECK(ends.reads.size() == 1);
  table.add(make_read(&ends, 1'000, 52, Consistency::kStale), 50);
  table.on_applied({6}, {1}, 51);
  CHECK(ends.reads.size() == 1);
  table.on_applied({7}, {1}, 53);
  CHECK(ends.reads.size() == 2);
  table.add(make_read(&ends, 1'000, 60), 53);
  table.ask(1, 0);
  table.on_result(answer(1, 7), {1});
  CHECK(ends.reads.size() == 2);
  table.tick(1'000, 350, true);
  REQUIRE(ends.reads.size() == 3);
  CHECK(ends.reads[2].code == Code::kTimeout);
  CHECK(std::string(ends.reads[2].reason) == "revision_not_reached");
}

TEST_CASE("a read that is confirmed already waits for its index alone") {
  Ends ends;
  ReadTable table(1);
  table.on_applied({5}, {1}, 50);
  table.add_confirmed(make_read(&ends, 1'000), {5}, {1});
  CHECK(ends.reads.size() == 1);
  table.add_confirmed(make_read(&ends, 1'000), {6}, {1});
  CHECK(ends.reads.size() == 1);
  CHECK_FALSE(table.has_unasked());
  table.on_applied({6}, {1}, 51);
  CHECK(ends.reads.size() == 2);
}

TEST_CASE("so many reads wait for a revision at a time") {
  Ends ends;
  ReadTable table(1);
  table.add(make_read(&ends, 1'000, 7, Consistency::kStale), 0);
  table.add(make_read(&ends, 1'000, 8, Consistency::kStale), 0);
  REQUIRE(ends.reads.size() == 1);
  CHECK(ends.reads[0].code == Code::kBusy);
  table.on_applied({1}, {1}, 7);
  CHECK(ends.reads.size() == 2);
}

}  // namespace
}  // namespace kvstore::node
