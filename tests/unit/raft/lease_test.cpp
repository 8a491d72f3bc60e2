// Goal: a leader has a lease only while a quorum's promises rule out another leader, and followers
// keep what they promised.
// Method: single nodes are fed messages by hand, one case for each way in which a lease ends or a
// promise could be broken.
#include <doctest/doctest.h>

#include "node_fixture.hpp"

namespace kvstore::raft::testing {

using Type = MessageType;

namespace {

Options promising(uint64_t id = 1) {
  Options options = test_options(id);
  options.vote_promise_ms = 500;
  return options;
}

// Answers the newest heartbeat to `from`.
void answer(NodeFixture& node, uint64_t from, uint64_t promise_ms, uint64_t token = 0) {
  Message reply = NodeFixture::message(Type::kHeartbeatReply, from, node.node().term().value);
  reply.read_round = node.node().read_round();
  reply.match = node.node().log().last().index;
  reply.promise_ms = promise_ms;
  reply.token = token;
  node.receive(reply);
}

struct Leading : NodeFixture {
  Leading() : NodeFixture(voters({1, 2, 3}), {}, {}, promising()) {
    lead();
    tick(2);  // a heartbeat
  }
};

Message heartbeat(uint64_t from, uint64_t term) {
  Message message = NodeFixture::message(Type::kHeartbeat, from, term);
  message.read_round = 1;
  return message;
}

}  // namespace

TEST_CASE("a lease needs a quorum of promises for the same round") {
  Leading node;
  CHECK(node.node().lease().round == 0);
  answer(node, 2, 0);  // promises nothing
  CHECK(node.node().lease().round == 0);
  CHECK(node.node().confirmed_round() == node.node().read_round());
  answer(node, 3, 400);
  CHECK(node.node().lease().round == node.node().read_round());
  CHECK(node.node().lease().promise_ms == 400);
  const uint64_t round = node.node().read_round();
  node.tick(2);
  CHECK(node.node().read_round() == round + 1);
  CHECK(node.node().lease().round == round);
  answer(node, 2, 300);
  CHECK(node.node().lease().round == round + 1);
  CHECK(node.node().lease().promise_ms == 300);
}

TEST_CASE("no lease before the term's first commit") {
  NodeFixture node(voters({1, 2, 3}), {}, {}, promising());
  node.elect();
  node.persist();
  node.tick(2);
  Message reply = NodeFixture::message(Type::kHeartbeatReply, 2, node.node().term().value);
  reply.read_round = node.node().read_round();
  reply.promise_ms = 500;
  node.receive(reply);
  CHECK(node.node().confirmed_round() > 0);
  CHECK(node.node().lease().round == 0);
}

TEST_CASE("no lease while leadership is handed over, and none in that term once a node was told") {
  Leading node;
  answer(node, 2, 500);
  node.propose();
  node.step(TransferLeadership{{2}});
  CHECK_FALSE(node.sent(Type::kTimeoutNow));
  CHECK(node.node().lease().round == 0);
  node.acknowledge(2, 2);
  REQUIRE(node.sent(Type::kTimeoutNow, 2));
  for (int i = 0; i < 12; ++i) {
    node.tick();
    answer(node, 2, 500);
    answer(node, 3, 500);
  }
  CHECK_FALSE(node.node().transferring());  // it did not take over, but may yet
  CHECK(node.node().role() == Role::kLeader);
  CHECK(node.node().lease().round == 0);
}

TEST_CASE("no lease while a change of members is not committed, nor for one that is removed") {
  Leading node;
  answer(node, 2, 500);
  CHECK(node.node().lease().round > 0);
  REQUIRE(node.configure(voters({2, 3})) == Code::kOk);
  CHECK(node.node().lease().round == 0);
}

TEST_CASE("a single voter needs nobody's promise") {
  NodeFixture node(voters({1}));
  node.step(Campaign{});
  node.persist();
  node.persist();
  REQUIRE(node.node().leader_ready());
  node.tick(2);
  CHECK(node.node().lease().round == node.node().read_round());
  CHECK(node.node().lease().promise_ms == UINT64_MAX);
}

TEST_CASE("a follower says with every answer what it promises") {
  NodeFixture node(voters({1, 2, 3}), {}, {}, promising());
  node.receive(heartbeat(2, 1));
  node.persist();
  REQUIRE(node.sent(Type::kHeartbeatReply, 2));
  CHECK(node.sent(Type::kHeartbeatReply, 2)->promise_ms == 500);
}

TEST_CASE("a promise outlives a higher term that a late answer shows") {
  for (bool promises : {true, false}) {
    NodeFixture node(voters({1, 2, 3}), {}, {}, promises ? promising() : test_options());
    node.tick(10);  // those of the start
    node.receive(heartbeat(2, 1));
    node.persist();
    Message late = NodeFixture::message(Type::kVoteReply, 3, 5);
    late.reject = true;
    node.receive(late);
    REQUIRE(node.node().term() == Term{5});
    node.receive(NodeFixture::vote_request(3, 5, {{1}, {9}}));
    node.persist();
    CHECK((node.sent(Type::kVoteReply, 3) == nullptr) == promises);
    if (!promises) continue;
    node.tick(9);
    node.receive(NodeFixture::vote_request(3, 6, {{1}, {9}}));
    node.persist();
    CHECK(node.sent(Type::kVoteReply, 3) == nullptr);
    Message forced = NodeFixture::vote_request(3, 7, {{1}, {9}});
    forced.forced = true;  // the leader itself asked for it
    node.receive(forced);
    node.persist();
    REQUIRE(node.sent(Type::kVoteReply, 3));
    CHECK_FALSE(node.sent(Type::kVoteReply, 3)->reject);
  }
}

TEST_CASE("after a start nobody is voted for until an earlier promise must have ended") {
  NodeFixture node(voters({1, 2, 3}), {}, {}, promising());
  node.receive(heartbeat(2, 1));
  node.persist();
  node.restart();
  node.tick(9);
  node.receive(NodeFixture::vote_request(3, 2, {{1}, {9}}));
  node.persist();
  CHECK(node.sent(Type::kVoteReply, 3) == nullptr);
  node.tick(1);
  node.receive(NodeFixture::vote_request(3, 2, {{1}, {9}}));
  node.persist();
  REQUIRE(node.sent(Type::kVoteReply, 3));
  CHECK_FALSE(node.sent(Type::kVoteReply, 3)->reject);
}

TEST_CASE("heartbeats bring back the token of an answer from before a confirmed round") {
  Leading node;
  answer(node, 2, 0, 77);
  node.tick(2);  // a round begins: node 2 is known to have said 77
  REQUIRE(node.sent(Type::kHeartbeat, 2));
  CHECK(node.sent(Type::kHeartbeat, 2)->token == 0);  // which no quorum has confirmed
  node.propose();
  node.tick(2);
  CHECK(node.sent(Type::kHeartbeat, 2)->token == 0);
  answer(node, 3, 0, 88);
  node.tick(2);
  REQUIRE(node.sent(Type::kHeartbeat, 2));
  CHECK(node.sent(Type::kHeartbeat, 2)->token == 77);
  CHECK(node.sent(Type::kHeartbeat, 2)->match == Index{1});  // committed when that round began
  CHECK(node.sent(Type::kHeartbeat, 3)->token == 0);
}

}  // namespace kvstore::raft::testing
