// Goal: a forwarded request ends exactly once, and is repeated only when nothing was proposed.
// Method: answers of every kind, lost connections, deadlines and answers that are not for us.
#include "node/forward_table.hpp"

#include "table_testing.hpp"

namespace kvstore::node {
namespace {

constexpr raft::NodeId kLeader{5};

wire::ForwardResponse response(uint64_t number, Code code) {
  wire::ForwardResponse r;
  r.request = number;
  r.code = code;
  return r;
}

struct Fixture {
  Ends ends;
  ForwardTable table{1'000};
  uint64_t sent(ForwardTable::Request request) {
    uint64_t number = table.next_number();
    table.add_sent(number, kLeader, std::move(request));
    return number;
  }
};

TEST_CASE_FIXTURE(Fixture, "an answer ends the request with what the leader said") {
  kv::CommandResult result;
  result.revision = 9;
  result.succeeded = true;
  wire::ForwardResponse ok = response(sent(make_proposal(&ends, 100)), Code::kOk);
  ok.term = 3;
  ok.index = 8;
  ok.result = SharedBytes(kv::encode_result(result));
  table.on_response(kLeader, ok);
  REQUIRE(ends.proposals.size() == 1);
  CHECK(ends.proposals[0].code == Code::kOk);
  CHECK(ends.proposals[0].committed == Committed::kYes);
  CHECK(ends.proposals[0].result == result);
  CHECK(ends.proposals[0].at == raft::LogId{{3}, {8}});
  table.on_response(kLeader, ok);  // again: nobody waits
  CHECK(ends.proposals.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "failures say whether the write may have happened") {
  struct {
    Code code;
    Committed committed;
  } cases[] = {{Code::kBusy, Committed::kNo},
               {Code::kInvalid, Committed::kNo},
               {Code::kIndeterminate, Committed::kUnknown},
               {Code::kCancelled, Committed::kUnknown}};
  for (const auto& c : cases) {
    table.on_response(kLeader, response(sent(make_proposal(&ends, 100)), c.code));
    CHECK(ends.proposals.back().code == c.code);
    CHECK(ends.proposals.back().committed == c.committed);
  }
  wire::ForwardResponse damaged = response(sent(make_proposal(&ends, 100)), Code::kOk);
  damaged.result = SharedBytes(std::string("?"));
  table.on_response(kLeader, damaged);
  CHECK(ends.proposals.back().code == Code::kInternal);
  CHECK(ends.proposals.back().committed == Committed::kYes);
}

TEST_CASE_FIXTURE(Fixture, "NOT_LEADER waits for the next leader") {
  table.on_response(kLeader, response(sent(make_proposal(&ends, 100)), Code::kNotLeader));
  wire::ControlResponse control;
  control.request = sent(make_control(&ends, 100));
  control.code = Code::kNotLeader;
  table.on_response(kLeader, control);
  CHECK(ends.proposals.empty());
  CHECK(ends.controls.empty());
  CHECK(table.has_waiting());
  std::vector<ForwardTable::Request> waiting = table.take_waiting();
  CHECK(waiting.size() == 2);
  CHECK_FALSE(table.has_waiting());
  for (auto& request : waiting) refuse(std::move(request), Code::kClosed, "end");
  CHECK(ends.proposals.size() == 1);
  CHECK(ends.controls.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "answers of another kind, number or node change nothing") {
  uint64_t number = sent(make_proposal(&ends, 100));
  wire::ControlResponse control;
  control.request = number;
  table.on_response(kLeader, control);
  table.on_response(kLeader, response(number + 1, Code::kOk));
  table.on_response({6}, response(number, Code::kBusy));
  CHECK(ends.proposals.empty());
  table.on_response(kLeader, response(number, Code::kBusy));
  CHECK(ends.proposals.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "numbers go on from where the life was told to start") {
  CHECK(table.next_number() == 1'001);
  CHECK(table.next_number() == 1'002);
}

TEST_CASE_FIXTURE(Fixture, "a lost connection leaves what was sent over it unknown") {
  sent(make_proposal(&ends, 100));
  sent(make_control(&ends, 100));
  table.on_disconnected({6});
  CHECK(ends.proposals.empty());
  table.on_disconnected(kLeader);
  REQUIRE(ends.proposals.size() == 1);
  CHECK(ends.proposals[0].committed == Committed::kUnknown);
  REQUIRE(ends.controls.size() == 1);
  CHECK(ends.controls[0].code == Code::kIndeterminate);
  CHECK(table.size() == 0);
}

TEST_CASE_FIXTURE(Fixture, "deadlines: a no for what was never sent, unknown for the rest") {
  table.wait_for_leader(make_proposal(&ends, 100));
  sent(make_proposal(&ends, 100));
  table.wait_for_leader(make_proposal(&ends, 200));
  CHECK(table.size() == 3);
  table.expire(99);
  CHECK(ends.proposals.empty());
  table.expire(100);
  REQUIRE(ends.proposals.size() == 2);
  CHECK(ends.proposals[0].code == Code::kUnreachable);
  CHECK(ends.proposals[0].committed == Committed::kNo);
  CHECK(ends.proposals[1].code == Code::kIndeterminate);
  CHECK(ends.proposals[1].committed == Committed::kUnknown);
  table.fail_all(Code::kClosed, "end");
  REQUIRE(ends.proposals.size() == 3);
  CHECK(ends.proposals[2].committed == Committed::kNo);
}

TEST_CASE_FIXTURE(Fixture, "what was not sent after all is taken back whole") {
  uint64_t number = sent(make_proposal(&ends, 100));
  ForwardTable::Request request = table.take_back(number);
  table.on_response(kLeader, response(number, Code::kBusy));
  CHECK(ends.proposals.empty());
  refuse(std::move(request), Code::kClosed, "end");
  CHECK(ends.proposals[0].committed == Committed::kNo);
}

}  // namespace
}  // namespace kvstore::node
