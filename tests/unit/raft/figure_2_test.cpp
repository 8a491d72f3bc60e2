// Goal: every rule of Figure 2 of the Raft paper (condensed summary of the algorithm) holds.
// Method: one case per rule, named after it; a single node is fed messages by hand.
#include <doctest/doctest.h>

#include "node_fixture.hpp"

namespace kvstore::raft::testing {

using Type = MessageType;
using Terms = std::vector<uint64_t>;

TEST_CASE("Figure 2, persistent state: term and vote survive a restart, and so does the log") {
  NodeFixture node(voters({1, 2, 3}));
  node.receive(NodeFixture::vote_request(2, 5, {{4}, {9}}));
  node.persist();
  node.receive(NodeFixture::append(3, 6, {}, entries_of({6, 6})));
  node.persist();
  node.restart();
  CHECK(node.node().term() == Term{6});
  CHECK(node.log_terms() == Terms{6, 6});
  CHECK(node.disk().durable().hard_state.voted_for == kNoNode);  // a new term, no vote in it
}

TEST_CASE("Figure 2, volatile state: commit and applied index never decrease") {
  NodeFixture node(voters({1, 2, 3}));
  node.receive(NodeFixture::append(2, 1, {}, entries_of({1, 1, 1}), 3));
  CHECK(node.node().commit_index() == Index{3});
  node.receive(NodeFixture::append(2, 1, {}, entries_of({1, 1, 1}), 1));
  CHECK(node.node().commit_index() == Index{3});
  CHECK(node.node().applied_index() == Index{3});
}

TEST_CASE("Figure 2, AppendEntries receiver 1: reply false if term < currentTerm") {
  NodeFixture node(voters({1, 2, 3}), {{4}, {}, {}});
  node.receive(NodeFixture::append(2, 3, {}, entries_of({3})));
  REQUIRE(node.sent(Type::kAppendReply, 2));
  CHECK(node.sent(Type::kAppendReply, 2)->reject);
  CHECK(node.sent(Type::kAppendReply, 2)->term == Term{4});
  CHECK(node.log_terms().empty());
}

TEST_CASE("Figure 2, AppendEntries receiver 2: reply false without a matching previous entry") {
  NodeFixture node(voters({1, 2, 3}), {{2}, {}, {}}, entries_of({1, 2}));
  SUBCASE("the log is too short") {
    node.receive(NodeFixture::append(2, 2, {{2}, {3}}, {make_entry(2, 4)}));
  }
  SUBCASE("the term at the place differs") {
    node.receive(NodeFixture::append(2, 3, {{3}, {2}}, {make_entry(3, 3)}));
    node.persist();
  }
  REQUIRE(node.sent(Type::kAppendReply, 2));
  CHECK(node.sent(Type::kAppendReply, 2)->reject);
  CHECK(node.log_terms() == Terms{1, 2});
}

TEST_CASE("Figure 2, AppendEntries receiver 3: a conflicting entry goes, with all that follow") {
  NodeFixture node(voters({1, 2, 3}), {{2}, {}, {}}, entries_of({1, 1, 2, 2, 2}));
  SUBCASE("a conflict truncates") {
    node.receive(NodeFixture::append(2, 3, {{1}, {2}}, {make_entry(3, 3)}));
    CHECK(node.log_terms() == Terms{1, 1, 3});
  }
  SUBCASE("a message that merely ends earlier does not") {
    node.receive(NodeFixture::append(2, 3, {{1}, {1}}, {make_entry(1, 2), make_entry(2, 3)}));
    CHECK(node.log_terms() == Terms{1, 1, 2, 2, 2});
  }
  SUBCASE("an empty message does not") {
    node.receive(NodeFixture::append(2, 3, {{1}, {1}}, {}));
    CHECK(node.log_terms() == Terms{1, 1, 2, 2, 2});
  }
}

TEST_CASE(
    "Figure 2, AppendEntries receiver 4: new entries are appended, known ones are not twice") {
  NodeFixture node(voters({1, 2, 3}), {{1}, {}, {}}, entries_of({1, 1}));
  node.receive(NodeFixture::append(2, 1, {{1}, {1}}, {make_entry(1, 2), make_entry(1, 3)}));
  CHECK(node.log_terms() == Terms{1, 1, 1});
  REQUIRE(node.out.log_writes.size() == 1);
  CHECK(node.out.log_writes[0].entries.size() == 1);
}

TEST_CASE("Figure 2, AppendEntries receiver 5: commit index is min(leaderCommit, last new entry)") {
  NodeFixture node(voters({1, 2, 3}), {{1}, {}, {}}, entries_of({1, 1, 1}));
  // Entry 3 may not be the leader's: the message vouches for 2 only.
  node.receive(NodeFixture::append(2, 2, {{1}, {1}}, {make_entry(1, 2)}, 9));
  CHECK(node.node().commit_index() == Index{2});
  node.receive(NodeFixture::append(2, 2, {{1}, {2}}, {make_entry(1, 3)}, 2));
  CHECK(node.node().commit_index() == Index{2});
}

TEST_CASE("Figure 2, AppendEntries: the reply waits until the entries are durable") {
  NodeFixture node(voters({1, 2, 3}), {{1}, {}, {}});
  node.receive(NodeFixture::append(2, 1, {}, entries_of({1, 1})));
  CHECK_FALSE(node.sent(Type::kAppendReply));
  node.receive(NodeFixture::append(2, 1, {{1}, {2}}, {make_entry(1, 3)}));
  CHECK_FALSE(node.sent(Type::kAppendReply));
  node.persist();
  REQUIRE(node.sent(Type::kAppendReply));
  CHECK(node.sent(Type::kAppendReply)->match == Index{3});  // one answer for both
  CHECK(node.out.messages.size() == 1);
}

TEST_CASE("Figure 2, RequestVote receiver 1: reply false if term < currentTerm") {
  NodeFixture node(voters({1, 2, 3}), {{4}, {}, {}});
  node.receive(NodeFixture::vote_request(2, 3, {{3}, {9}}));
  REQUIRE(node.sent(Type::kVoteReply, 2));
  CHECK(node.sent(Type::kVoteReply, 2)->reject);
  CHECK(node.sent(Type::kVoteReply, 2)->term == Term{4});
}

TEST_CASE("Figure 2, RequestVote receiver 2: one vote per term, first come, first served") {
  NodeFixture node(voters({1, 2, 3}));
  node.receive(NodeFixture::vote_request(2, 1, {}));
  CHECK(node.out.messages.empty());  // not before it is durable
  node.persist();
  REQUIRE(node.sent(Type::kVoteReply, 2));
  CHECK_FALSE(node.sent(Type::kVoteReply, 2)->reject);
  node.receive(NodeFixture::vote_request(3, 1, {}));
  REQUIRE(node.sent(Type::kVoteReply, 3));
  CHECK(node.sent(Type::kVoteReply, 3)->reject);
  node.receive(NodeFixture::vote_request(2, 1, {}));  // the reply was lost: the same one again
  REQUIRE(node.sent(Type::kVoteReply, 2));
  CHECK_FALSE(node.sent(Type::kVoteReply, 2)->reject);
}

TEST_CASE("Figure 2, RequestVote receiver 2: the candidate's log must be at least as up-to-date") {
  struct Case {
    LogId last;
    bool granted;
  };
  for (const Case& c : {Case{{{2}, {3}}, true}, Case{{{2}, {4}}, true}, Case{{{3}, {1}}, true},
                        Case{{{2}, {2}}, false}, Case{{{1}, {9}}, false}, Case{{}, false}}) {
    NodeFixture node(voters({1, 2, 3}), {{2}, {}, {}}, entries_of({1, 2, 2}));
    node.receive(NodeFixture::vote_request(2, 5, c.last));
    node.persist();
    REQUIRE(node.sent(Type::kVoteReply, 2));
    CHECK(node.sent(Type::kVoteReply, 2)->reject == !c.granted);
    CHECK(node.node().term() == Term{5});  // the term counts either way
  }
}

TEST_CASE("Figure 2, all servers: entries up to the commit index are applied in order, once") {
  NodeFixture node(voters({1, 2, 3}));
  node.receive(NodeFixture::append(2, 1, {}, entries_of({1, 1, 1}), 2));
  REQUIRE(node.out.committed.size() == 2);
  CHECK(node.out.committed[0].id.index == Index{1});
  CHECK(node.out.committed[1].id.index == Index{2});
  Message heartbeat = NodeFixture::message(Type::kHeartbeat, 2, 1);
  heartbeat.commit = {3};
  node.receive(heartbeat);
  REQUIRE(node.out.committed.size() == 1);
  CHECK(node.out.committed[0].id.index == Index{3});
  node.receive(heartbeat);
  CHECK(node.out.committed.empty());
}

TEST_CASE("Figure 2, all servers: a higher term makes a follower of anybody") {
  for (Type type : {Type::kAppend, Type::kHeartbeat, Type::kAppendReply, Type::kHeartbeatReply,
                    Type::kVoteReply, Type::kPreVoteReply, Type::kTimeoutNow}) {
    NodeFixture node(voters({1, 2, 3}));
    node.lead();
    REQUIRE(node.node().role() == Role::kLeader);
    Message message = NodeFixture::message(type, 2, 9);
    message.reject = true;
    node.receive(message);
    // The order to campaign at once is carried out in the term after.
    const bool campaigns = type == Type::kTimeoutNow;
    CHECK(node.node().term() == Term{campaigns ? 10u : 9u});
    CHECK(node.node().role() == (campaigns ? Role::kCandidate : Role::kFollower));
  }
}

TEST_CASE("Figure 2, followers: an election starts when nobody is heard for the timeout") {
  NodeFixture node(voters({1, 2, 3}));
  node.tick(9);
  CHECK(node.node().role() == Role::kFollower);
  node.tick(11);
  CHECK(node.node().role() == Role::kPreCandidate);
  CHECK(node.sent(Type::kPreVote, 2));
  CHECK(node.sent(Type::kPreVote, 3));
}

TEST_CASE("Figure 2, followers: appends, heartbeats and granted votes put the election off") {
  NodeFixture node(voters({1, 2, 3}));
  for (int i = 0; i < 10; ++i) {
    node.tick(9);
    if (i % 2 == 0) node.receive(NodeFixture::message(Type::kHeartbeat, 2, 1));
    if (i % 2 == 1) node.receive(NodeFixture::append(2, 1, {}, {}));
    CHECK(node.node().role() == Role::kFollower);
  }
  node.tick(9);
  node.receive(NodeFixture::vote_request(3, 2, {}));
  node.tick(9);
  CHECK(node.node().role() == Role::kFollower);
}

TEST_CASE("Figure 2, candidates: term + 1, a vote for itself, requests to all others") {
  NodeFixture node(voters({1, 2, 3}), {{3}, {}, {}}, entries_of({1, 3}));
  node.step(Campaign{});
  node.receive(NodeFixture::message(Type::kPreVoteReply, 2, 4));
  CHECK(node.node().role() == Role::kCandidate);
  CHECK(node.node().term() == Term{4});
  node.persist();
  CHECK(node.disk().durable().hard_state.voted_for == NodeId{1});
  for (uint64_t to : {2, 3}) {
    REQUIRE(node.sent(Type::kVote, to));
    CHECK(node.sent(Type::kVote, to)->log == LogId{{3}, {2}});
  }
}

TEST_CASE("Figure 2, candidates: a majority of votes makes a leader, a repeated vote does not") {
  NodeFixture node(voters({1, 2, 3, 4, 5}));
  node.step(Campaign{});
  for (uint64_t from : {2, 3}) node.receive(NodeFixture::message(Type::kPreVoteReply, from, 1));
  node.persist();
  node.receive(NodeFixture::message(Type::kVoteReply, 2, 1));
  node.receive(NodeFixture::message(Type::kVoteReply, 2, 1));
  node.receive(NodeFixture::message(Type::kVoteReply, 9, 1));  // no member
  CHECK(node.node().role() == Role::kCandidate);
  node.receive(NodeFixture::message(Type::kVoteReply, 5, 1));
  CHECK(node.node().role() == Role::kLeader);
}

TEST_CASE("Figure 2, candidates: an append of the term's leader makes a follower") {
  NodeFixture node(voters({1, 2, 3}));
  node.step(Campaign{});
  node.receive(NodeFixture::message(Type::kPreVoteReply, 2, 1));
  REQUIRE(node.node().role() == Role::kCandidate);
  node.receive(NodeFixture::append(3, 1, {}, {}));
  CHECK(node.node().role() == Role::kFollower);
  CHECK(node.node().leader() == NodeId{3});
}

TEST_CASE("Figure 2, candidates: without a majority a new election starts after the timeout") {
  NodeFixture node(voters({1, 2, 3}));
  node.step(Campaign{});
  node.receive(NodeFixture::message(Type::kPreVoteReply, 2, 1));
  node.persist();
  REQUIRE(node.node().role() == Role::kCandidate);
  node.tick(20);
  CHECK(node.node().role() == Role::kPreCandidate);
  CHECK(node.sent(Type::kPreVote, 2));
}

TEST_CASE("Figure 2, leaders: appends at once upon election, then heartbeats") {
  NodeFixture node(voters({1, 2, 3}));
  node.elect();
  CHECK(node.sent(Type::kAppend, 2));
  CHECK(node.sent(Type::kAppend, 3));
  node.tick(2);
  CHECK(node.sent(Type::kHeartbeat, 2));
  CHECK(node.sent(Type::kHeartbeat, 3));
}

TEST_CASE("Figure 2, leaders: a command is appended and answered with its place") {
  NodeFixture node(voters({1, 2, 3}));
  node.lead();
  const ProposeResult result = node.propose("hello");
  CHECK(result.code == Code::kOk);
  CHECK(result.id == LogId{{1}, {2}});
  REQUIRE(node.sent(Type::kAppend, 2));
  CHECK(node.sent(Type::kAppend, 2)->entries[0].data.view() == "hello");
  CHECK(entry_intact(node.sent(Type::kAppend, 2)->entries[0]));
}

TEST_CASE("Figure 2, leaders: an inconsistency lowers nextIndex, success raises both indexes") {
  NodeFixture node(voters({1, 2, 3}), {{2}, {}, {}}, entries_of({1, 1, 1, 1, 2, 2}));
  node.elect();
  REQUIRE(node.sent(Type::kAppend, 2));
  CHECK(node.sent(Type::kAppend, 2)->log == LogId{{2}, {6}});
  Message reply = NodeFixture::message(Type::kAppendReply, 2, 3);
  reply.reject = true;
  reply.rejected = {6};
  reply.hint = {{1}, {3}};
  node.receive(reply);
  REQUIRE(node.sent(Type::kAppend, 2));
  CHECK(node.sent(Type::kAppend, 2)->log == LogId{{1}, {3}});
  node.acknowledge(2, 7);
  for (const PeerStatus& peer : node.node().peers()) {
    if (peer.id != NodeId{2}) continue;
    CHECK(peer.match == Index{7});
    CHECK(peer.next == Index{8});
    CHECK(peer.state == PeerStatus::State::kReplicate);
  }
}

TEST_CASE("Figure 2, leaders: commits what a majority holds durably, of its own term only") {
  NodeFixture node(voters({1, 2, 3, 4, 5}), {{2}, {}, {}}, entries_of({1, 2}));
  node.elect();  // the no-op of term 3 is entry 3
  node.acknowledge(2, 2);
  node.acknowledge(3, 2);
  CHECK(node.node().commit_index() == Index{0});  // §5.4.2: a majority holds entry 2
  node.acknowledge(2, 3);
  node.acknowledge(3, 3);
  CHECK(node.node().commit_index() == Index{0});  // its own copy is not durable yet
  node.persist();
  CHECK(node.node().commit_index() == Index{3});
  CHECK(node.out.committed.size() == 3);
}

}  // namespace kvstore::raft::testing
