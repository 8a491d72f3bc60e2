// Goal: a proposal in the log ends exactly once, and with a "no" only when that is certain.
// Method: entries are committed, displaced, truncated, expired and skipped by snapshots.
#include "node/proposal_table.hpp"

#include "table_testing.hpp"

namespace kvstore::node {
namespace {

raft::LogId at(uint64_t term, uint64_t index) {
  return {{term}, {index}};
}

TEST_CASE("a committed entry gives its proposal back") {
  Ends ends;
  ProposalTable table;
  table.add(at(1, 5), make_proposal(&ends, 100));
  table.add(at(1, 6), make_proposal(&ends, 100));
  CHECK(table.take_committed(at(1, 4)) == nullptr);
  ProposalPtr first = table.take_committed(at(1, 5));
  REQUIRE(first != nullptr);
  CHECK(table.size() == 1);
  CHECK(ends.proposals.empty());
  first->fail(Code::kOk, "", Committed::kYes);
}

TEST_CASE("an entry of another term in its place is a definite no") {
  Ends ends;
  ProposalTable table;
  table.add(at(1, 5), make_proposal(&ends, 100));
  CHECK(table.take_committed(at(2, 5)) == nullptr);
  REQUIRE(ends.proposals.size() == 1);
  CHECK(ends.proposals[0].code == Code::kNotLeader);
  CHECK(ends.proposals[0].committed == Committed::kNo);
}

TEST_CASE("what a new entry of ours overwrote is unknown") {
  Ends ends;
  ProposalTable table;
  table.add(at(1, 5), make_proposal(&ends, 100));
  table.add(at(1, 6), make_proposal(&ends, 100));
  table.add(at(3, 5), make_proposal(&ends, 100));
  REQUIRE(ends.proposals.size() == 2);
  for (const ProposalOutcome& o : ends.proposals) {
    CHECK(o.code == Code::kIndeterminate);
    CHECK(o.committed == Committed::kUnknown);
  }
  CHECK(table.size() == 1);
}

TEST_CASE("a snapshot leaves those it may hold unknown") {
  Ends ends;
  ProposalTable table;
  table.add(at(1, 5), make_proposal(&ends, 100));
  table.add(at(1, 6), make_proposal(&ends, 100));
  table.fail_up_to({5});
  REQUIRE(ends.proposals.size() == 1);
  CHECK(ends.proposals[0].committed == Committed::kUnknown);
  CHECK(table.size() == 1);
}

TEST_CASE("the late ones end as unknown, once, and are ignored when they commit") {
  Ends ends;
  ProposalTable table;
  table.add(at(1, 5), make_proposal(&ends, 100));
  table.add(at(1, 6), make_proposal(&ends, 200));
  table.expire(99);
  CHECK(ends.proposals.empty());
  table.expire(100);
  REQUIRE(ends.proposals.size() == 1);
  CHECK(ends.proposals[0].code == Code::kIndeterminate);
  table.expire(150);
  CHECK(ends.proposals.size() == 1);
  CHECK(table.take_committed(at(1, 5)) == nullptr);
  table.expire(200);
  CHECK(ends.proposals.size() == 2);
  CHECK(table.take_committed(at(2, 6)) == nullptr);
  CHECK(ends.proposals.size() == 2);
}

TEST_CASE("what is late before it reaches the log was certainly not done") {
  Ends ends;
  std::vector<ProposalPtr> proposals;
  for (uint64_t deadline_ms : {100u, 50u, 99u}) {
    proposals.push_back(make_proposal(&ends, deadline_ms));
  }
  fail_expired(&proposals, 99);
  REQUIRE(proposals.size() == 1);
  CHECK(proposals[0]->deadline_ms == 100);
  REQUIRE(ends.proposals.size() == 2);
  for (const ProposalOutcome& o : ends.proposals) {
    CHECK(o.code == Code::kTimeout);
    CHECK(o.committed == Committed::kNo);
  }
  fail_expired(&proposals, 100);
  CHECK(ends.proposals.size() == 3);
}

TEST_CASE("the end of the table ends what is in it as unknown") {
  Ends ends;
  {
    ProposalTable table;
    table.add(at(1, 5), make_proposal(&ends, 100));
  }
  REQUIRE(ends.proposals.size() == 1);
  CHECK(ends.proposals[0].committed == Committed::kUnknown);
}

}  // namespace
}  // namespace kvstore::node
