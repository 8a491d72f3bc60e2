// Goal: the rules of Ongaro's thesis beyond Figure 2 that the core relies on hold.
// Method: one case per rule, named after its section; a single node is fed messages by hand.  The
// traces in tests/datadriven/raft show the same rules in whole clusters.
#include <doctest/doctest.h>

#include "node_fixture.hpp"

namespace kvstore::raft::testing {

using Type = MessageType;

namespace {

Configuration with_learner(Configuration configuration, uint64_t id, bool auto_promote = false) {
  configuration.set({.id = {id}, .voter = false, .auto_promote = auto_promote});
  return configuration;
}

}  // namespace

TEST_CASE("thesis 3.4: election timeouts are spread over one to two timeouts") {
  std::vector<int> waits;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Options options = test_options();
    options.seed = seed;
    NodeFixture node(voters({1, 2, 3}), {}, {}, options);
    int ticks = 0;
    while (node.node().role() == Role::kFollower) node.tick(), ++ticks;
    CHECK(ticks >= 10);
    CHECK(ticks < 20);
    waits.push_back(ticks);
  }
  std::sort(waits.begin(), waits.end());
  CHECK(std::unique(waits.begin(), waits.end()) - waits.begin() >= 6);
}

TEST_CASE("thesis 3.4: the same seed and events give the same outputs") {
  auto run = [] {
    NodeFixture node(voters({1, 2, 3}), {}, {}, test_options());
    int ticks = 0;
    while (node.node().role() == Role::kFollower) node.tick(), ++ticks;
    return ticks;
  };
  CHECK(run() == run());
}

TEST_CASE("thesis 3.10: a leader that hands over takes no proposals and sends TimeoutNow") {
  NodeFixture node(voters({1, 2, 3}));
  node.lead();
  node.propose();
  node.step(TransferLeadership{{2}});
  CHECK_FALSE(node.sent(Type::kTimeoutNow));  // node 2 is not up to date
  CHECK(node.node().transferring());
  CHECK(node.propose().code == Code::kBusy);
  node.acknowledge(2, 2);
  REQUIRE(node.sent(Type::kTimeoutNow, 2));
  node.tick(9);
  node.acknowledge(3, 2);
  node.tick(1);
  CHECK_FALSE(node.node().transferring());  // an election timeout has passed
  CHECK(node.propose().code == Code::kOk);
}

TEST_CASE("thesis 3.10: TimeoutNow starts an election without a pre-vote and marks it") {
  NodeFixture node(voters({1, 2, 3}));
  node.receive(NodeFixture::append(2, 1, {}, entries_of({1})));
  node.persist();
  node.receive(NodeFixture::message(Type::kTimeoutNow, 2, 1));
  CHECK(node.node().role() == Role::kCandidate);
  node.persist();
  REQUIRE(node.sent(Type::kVote, 3));
  CHECK(node.sent(Type::kVote, 3)->forced);
}

TEST_CASE("thesis 4.1: a change of more than one voter, or to none, is refused") {
  NodeFixture node(voters({1, 2, 3}));
  node.lead();
  CHECK(node.configure(voters({1, 2, 3, 4, 5})) == Code::kInvalid);
  CHECK(node.configure(voters({1, 2, 4})) == Code::kInvalid);
  CHECK(node.configure({}) == Code::kInvalid);
  Configuration unsorted;
  unsorted.members = {{{3}, true, false}, {{1}, true, false}};
  CHECK(node.configure(unsorted) == Code::kInvalid);
  CHECK(node.configure(voters({1, 2})) == Code::kOk);
}

TEST_CASE("thesis 4.1: a configuration counts when it is appended") {
  NodeFixture node(voters({1, 2, 3}));
  node.lead();
  REQUIRE(node.configure(voters({1, 2, 3, 4})) == Code::kOk);
  CHECK(node.node().configuration() == voters({1, 2, 3, 4}));
  CHECK(node.node().configuration_change_pending());
  node.persist();
  node.acknowledge(2, 2);
  CHECK(node.node().configuration_change_pending());  // two of four are no majority
  node.acknowledge(4, 2);
  CHECK_FALSE(node.node().configuration_change_pending());
}

TEST_CASE("thesis 4.1: one change at a time, and none before the term's first commit") {
  NodeFixture node(voters({1, 2, 3}));
  node.elect();
  CHECK_FALSE(node.node().leader_ready());
  CHECK(node.configure(voters({1, 2})) == Code::kBusy);
  node.persist();
  node.acknowledge(2, 1);
  CHECK(node.node().leader_ready());
  CHECK(node.configure(voters({1, 2})) == Code::kOk);
  CHECK(node.configure(voters({1, 2, 3})) == Code::kBusy);
}

TEST_CASE("thesis 4.2.1: a learner counts neither for commitment nor for elections") {
  NodeFixture node(with_learner(voters({1, 2, 3}), 4));
  node.lead();
  node.propose();
  node.persist();
  node.acknowledge(4, 2);
  CHECK(node.node().commit_index() == Index{1});
  node.acknowledge(2, 2);
  CHECK(node.node().commit_index() == Index{2});
}

TEST_CASE("thesis 4.2.1: a caught-up learner that is to be promoted becomes a voter") {
  NodeFixture node(with_learner(voters({1}), 2, true));
  node.elect();
  node.persist();
  CHECK_FALSE(node.node().configuration().is_voter({2}));
  node.acknowledge(2, 1);
  CHECK(node.node().configuration().is_voter({2}));
  CHECK_FALSE(node.node().configuration().find({2})->auto_promote);
}

TEST_CASE(
    "thesis 4.2.1: a learner that needs longer than an election timeout is not promoted yet") {
  NodeFixture node(with_learner(voters({1}), 2, true));
  node.elect();
  node.persist();
  node.tick(11);
  node.propose();
  node.persist();
  node.acknowledge(2, 1);  // the first round took too long; the second one ends at entry 2
  CHECK_FALSE(node.node().configuration().is_voter({2}));
  node.acknowledge(2, 2);
  CHECK(node.node().configuration().is_voter({2}));
}

TEST_CASE("thesis 4.2.2: a leader that removes itself does not count itself, then steps down") {
  NodeFixture node(voters({1, 2, 3}));
  node.lead();
  REQUIRE(node.configure(voters({2, 3})) == Code::kOk);
  node.persist();
  node.acknowledge(2, 2);
  CHECK(node.node().role() == Role::kLeader);
  node.acknowledge(3, 2);
  CHECK(node.node().commit_index() == Index{2});
  CHECK(node.node().role() == Role::kFollower);
  CHECK(node.sent(Type::kTimeoutNow));
  node.tick(60);
  CHECK(node.node().role() == Role::kFollower);  // no voter any more
}

TEST_CASE("thesis 4.2.3: who hears a leader ignores vote requests of higher terms") {
  NodeFixture node(voters({1, 2, 3}));
  node.receive(NodeFixture::message(Type::kHeartbeat, 2, 1));
  node.persist();
  node.tick(9);
  node.receive(NodeFixture::vote_request(3, 7, {{6}, {6}}));
  CHECK(node.node().term() == Term{1});
  CHECK(node.out.messages.empty());
  Message forced = NodeFixture::vote_request(3, 7, {{6}, {6}});
  forced.forced = true;
  node.receive(forced);
  CHECK(node.node().term() == Term{7});
}

TEST_CASE("thesis 5: a snapshot at or below the commit index is not installed") {
  NodeFixture node(voters({1, 2, 3}));
  node.receive(NodeFixture::append(2, 1, {}, entries_of({1, 1, 1}), 2));
  node.persist();
  node.step(SnapshotStaged{{2}, {1}, {{{1}, {2}}, voters({1, 2, 3})}});
  CHECK(node.out.snapshot_decision == SnapshotDecision::kAlreadyHave);
}

TEST_CASE(
    "thesis 5: a snapshot that the log matches is not installed, and its index is committed") {
  NodeFixture node(voters({1, 2, 3}));
  node.receive(NodeFixture::append(2, 1, {}, entries_of({1, 1, 1, 1}), 1));
  node.persist();
  node.step(SnapshotStaged{{2}, {1}, {{{1}, {3}}, voters({1, 2, 3})}});
  CHECK(node.out.snapshot_decision == SnapshotDecision::kAlreadyHave);
  CHECK(node.node().commit_index() == Index{3});
  CHECK(node.node().log().last().index == Index{4});
}

TEST_CASE("thesis 5: a snapshot beyond the log or in conflict with it replaces state and log") {
  for (const LogId last : {LogId{{2}, {9}}, LogId{{2}, {3}}}) {
    NodeFixture node(voters({1, 2, 3}), {{1}, {}, {}}, entries_of({1, 1, 1, 1}));
    const SnapshotMeta meta{last, voters({1, 2, 4})};
    node.step(SnapshotStaged{{2}, {3}, meta});
    REQUIRE(node.out.snapshot_decision == SnapshotDecision::kInstall);
    CHECK(node.node().term() == Term{3});
    node.persist();
    // Meanwhile nothing is appended, and another snapshot has to come again.
    node.receive(NodeFixture::append(2, 3, {{1}, {4}}, {make_entry(3, 5)}));
    CHECK_FALSE(node.sent(Type::kAppendReply));
    CHECK(node.sent(Type::kHeartbeatReply, 2));
    node.step(SnapshotStaged{{2}, {3}, meta});
    CHECK(node.out.snapshot_decision == SnapshotDecision::kStale);

    node.disk().reset(last);
    node.step(SnapshotInstalled{meta});
    CHECK(node.node().commit_index() == last.index);
    CHECK(node.node().applied_index() == last.index);
    CHECK(node.node().log().base() == last);
    CHECK(node.node().log().last() == last);
    CHECK(node.node().configuration() == voters({1, 2, 4}));
    REQUIRE(node.sent(Type::kAppendReply, 2));
    CHECK(node.sent(Type::kAppendReply, 2)->match == last.index);
  }
}

TEST_CASE("thesis 5: a failed install leaves everything as it was") {
  NodeFixture node(voters({1, 2, 3}), {{1}, {}, {}}, entries_of({1, 1}));
  node.step(SnapshotStaged{{2}, {1}, {{{1}, {9}}, voters({1, 2, 3})}});
  REQUIRE(node.out.snapshot_decision == SnapshotDecision::kInstall);
  node.step(SnapshotInstallFailed{});
  node.receive(NodeFixture::append(2, 1, {{1}, {2}}, {make_entry(1, 3)}));
  node.persist();
  REQUIRE(node.sent(Type::kAppendReply, 2));
  CHECK(node.sent(Type::kAppendReply, 2)->match == Index{3});
}

TEST_CASE("thesis 5: a snapshot of an older term, or one that cannot be, is refused") {
  NodeFixture node(voters({1, 2, 3}), {{5}, {}, {}});
  node.step(SnapshotStaged{{2}, {4}, {{{4}, {9}}, voters({1, 2, 3})}});
  CHECK(node.out.snapshot_decision == SnapshotDecision::kStale);
  node.step(SnapshotStaged{{2}, {5}, {{{6}, {9}}, voters({1, 2, 3})}});
  CHECK(node.out.snapshot_decision == SnapshotDecision::kStale);
  node.step(SnapshotStaged{{2}, {5}, {{{5}, {9}}, {}}});
  CHECK(node.out.snapshot_decision == SnapshotDecision::kStale);
}

TEST_CASE("thesis 6.2: a leader without a majority's contact for an election timeout steps down") {
  NodeFixture node(voters({1, 2, 3}));
  node.lead();
  for (int i = 0; i < 5; ++i) {
    node.tick(9);
    CHECK(node.node().role() == Role::kLeader);
    node.receive(NodeFixture::message(Type::kHeartbeatReply, 3, 1));
  }
  node.tick(10);
  CHECK(node.node().role() == Role::kFollower);
  CHECK(node.node().leader() == kNoNode);
  CHECK(node.node().term() == Term{1});
}

TEST_CASE("thesis 6.4: a read waits for a round that began after it, and for the term's no-op") {
  NodeFixture node(voters({1, 2, 3}));
  node.elect();
  node.step(ReadIndexRequest{7});
  CHECK(node.out.reads.empty());
  CHECK_FALSE(node.sent(Type::kHeartbeat));
  node.persist();
  node.acknowledge(2, 1);  // commits the no-op: the round begins
  REQUIRE(node.sent(Type::kHeartbeat, 2));
  const uint64_t round = node.sent(Type::kHeartbeat, 2)->read_round;
  node.acknowledge(3, 1, round - 1);
  CHECK(node.out.reads.empty());
  node.acknowledge(3, 1, round);
  REQUIRE(node.out.reads.size() == 1);
  CHECK(node.out.reads[0].token == 7);
  CHECK(node.out.reads[0].code == Code::kOk);
  CHECK(node.out.reads[0].index == Index{1});
}

TEST_CASE("thesis 6.4: learners and strangers confirm nothing") {
  NodeFixture node(with_learner(voters({1, 2, 3}), 4));
  node.lead();
  node.step(ReadIndexRequest{7});
  const uint64_t round = node.sent(Type::kHeartbeat, 2)->read_round;
  for (uint64_t from : {4, 9}) {
    Message reply = NodeFixture::message(Type::kHeartbeatReply, from, 1);
    reply.read_round = round;
    node.receive(reply);
    CHECK(node.out.reads.empty());
  }
}

TEST_CASE("thesis 9.6: a pre-vote changes neither term, vote nor timer") {
  NodeFixture node(voters({1, 2, 3}));
  Message request = NodeFixture::message(Type::kPreVote, 2, 4);
  node.receive(request);
  REQUIRE(node.sent(Type::kPreVoteReply, 2));
  CHECK_FALSE(node.sent(Type::kPreVoteReply, 2)->reject);
  CHECK(node.sent(Type::kPreVoteReply, 2)->term == Term{4});
  CHECK(node.node().term() == Term{0});
  CHECK(node.out.log_writes.empty());
  Message other = NodeFixture::message(Type::kPreVote, 3, 4);
  node.receive(other);  // not bound by the first one
  REQUIRE(node.sent(Type::kPreVoteReply, 3));
  CHECK_FALSE(node.sent(Type::kPreVoteReply, 3)->reject);
}

TEST_CASE("thesis 9.6: a rejected pre-vote with a higher term updates the candidate's term") {
  NodeFixture node(voters({1, 2, 3}));
  node.step(Campaign{});
  Message reply = NodeFixture::message(Type::kPreVoteReply, 2, 5);
  reply.reject = true;
  node.receive(reply);
  CHECK(node.node().term() == Term{5});
  CHECK(node.node().role() == Role::kFollower);
}

TEST_CASE("thesis 10.2.1: appends leave before the leader's own write is durable") {
  NodeFixture node(voters({1, 2, 3}));
  node.lead();
  node.propose();
  CHECK(node.sent(Type::kAppend, 2));
  CHECK(node.node().durable_index() == Index{1});
  node.acknowledge(2, 2);
  CHECK(node.node().commit_index() == Index{1});
  node.acknowledge(3, 2);  // two followers are a majority
  CHECK(node.node().commit_index() == Index{2});
}

}  // namespace kvstore::raft::testing
