// Goal: own bugs abort, what comes from outside does not; bounds are reached; completions that come
// late count for nothing.  Method: single nodes fed by hand; aborts are observed in a forked child.
#include <csignal>
#include <cstdio>
#include <functional>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node_fixture.hpp"
#include "raft/detail/progress.hpp"
#include "raft/detail/random.hpp"
#include "raft/detail/write_tracker.hpp"

namespace kvstore::raft::testing {

using Type = MessageType;

namespace {

// Whether `action` ends the process with SIGABRT.
bool aborts(const std::function<void()>& action) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    std::fclose(stderr);
    action();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

}  // namespace

TEST_CASE("two leaders in one term: the node stops (A7)") {
  CHECK(aborts([] {
    NodeFixture node(voters({1, 2, 3}));
    node.receive(NodeFixture::message(Type::kHeartbeat, 2, 1));
    node.receive(NodeFixture::message(Type::kHeartbeat, 3, 1));
  }));
  CHECK(aborts([] {
    NodeFixture node(voters({1, 2, 3}));
    node.lead();
    node.receive(NodeFixture::append(3, 1, {}, {}));
  }));
}

TEST_CASE("what the caller must not do is asserted") {
  CHECK(aborts([] { NodeFixture(voters({1})).step(LogPersisted{5}); }));
  CHECK(aborts([] { NodeFixture(voters({1})).step(Applied{{1}}); }));
  CHECK(aborts([] { NodeFixture(voters({1})).step(LogCompacted{{1}}); }));
  CHECK(aborts([] {
    NodeFixture(voters({1})).step(SnapshotInstalled{{{{1}, {1}}, voters({1})}});
  }));
}

TEST_CASE("a peer that lost what it acknowledged counts no more (H6)") {
  NodeFixture node(voters({1, 2, 3}));
  node.lead();
  node.acknowledge(2, 1);
  node.tick(4);  // heartbeats: the read round grows
  node.step(PeerConnected{{2}});
  node.step(PeerConnected{{2}});
  const Message* probe = node.sent(Type::kAppend, 2);
  REQUIRE(probe != nullptr);
  const uint64_t probe_round = probe->read_round;
  Message rejection = NodeFixture::message(Type::kAppendReply, 2, node.node().term().value);
  rejection.reject = true;
  rejection.rejected = {1};
  // An answer from before the acknowledgement is only late.
  rejection.read_round = 0;
  node.receive(rejection);
  CHECK_FALSE(node.node().peers()[0].reverted);
  rejection.read_round = probe_round;
  node.receive(rejection);
  REQUIRE(node.node().peers()[0].reverted);
  node.tick(2);
  REQUIRE(node.sent(Type::kHeartbeat, 2) != nullptr);
  CHECK(node.sent(Type::kHeartbeat, 2)->reverted);
  CHECK_FALSE(node.sent(Type::kHeartbeat, 3)->reverted);
  // Its acknowledgements commit nothing, those of the other one do.
  const ProposeResult proposed = node.propose();
  CHECK(node.sent(Type::kAppend, 2) == nullptr);
  node.acknowledge(2, proposed.id.index.value, 1'000);
  node.step(ReadIndexRequest{7});
  CHECK(node.out.reads.empty());
  CHECK(node.node().commit_index() < proposed.id.index);
  node.persist();
  CHECK(node.node().commit_index() < proposed.id.index);
  node.acknowledge(3, proposed.id.index.value, 1'000);
  CHECK(node.node().commit_index() == proposed.id.index);
  // Nor does it keep the leader in office.
  for (int i = 0; i < 20; ++i) {
    node.tick();
    node.receive(NodeFixture::message(Type::kHeartbeatReply, 2, node.node().term().value));
  }
  CHECK(node.node().role() == Role::kFollower);
}

TEST_CASE("a node knows for the leader's term that it is not counted") {
  NodeFixture node(voters({1, 2, 3}));
  Message heartbeat = NodeFixture::message(Type::kHeartbeat, 2, 1);
  heartbeat.read_round = 1;
  heartbeat.reverted = true;
  node.receive(heartbeat);
  CHECK(node.node().reverted());
  node.receive(NodeFixture::message(Type::kHeartbeat, 2, 1));  // a notice of the commit index
  CHECK(node.node().reverted());
  node.receive(NodeFixture::message(Type::kHeartbeat, 3, 2));
  CHECK_FALSE(node.node().reverted());
}

TEST_CASE("every acknowledgement tells whether the disk is nearly full") {
  NodeFixture follower(voters({1, 2, 3}));
  follower.step(DiskSpace{true});
  follower.receive(NodeFixture::append(2, 1, {}, entries_of({1})));
  follower.persist();
  REQUIRE(follower.sent(Type::kAppendReply) != nullptr);
  CHECK(follower.sent(Type::kAppendReply)->space_low);
  Message heartbeat = NodeFixture::message(Type::kHeartbeat, 2, 1);
  heartbeat.read_round = 3;
  follower.receive(heartbeat);
  REQUIRE(follower.sent(Type::kHeartbeatReply) != nullptr);
  CHECK(follower.sent(Type::kHeartbeatReply)->space_low);
  follower.step(DiskSpace{false});
  heartbeat.read_round = 4;
  follower.receive(heartbeat);
  CHECK_FALSE(follower.sent(Type::kHeartbeatReply)->space_low);

  NodeFixture leader(voters({1, 2, 3}));
  leader.lead();
  Message reply = NodeFixture::message(Type::kHeartbeatReply, 2, leader.node().term().value);
  reply.space_low = true;
  leader.receive(reply);
  CHECK(leader.node().peers()[0].space_low);
  CHECK_FALSE(leader.node().peers()[1].space_low);
  reply.space_low = false;
  leader.receive(reply);
  CHECK_FALSE(leader.node().peers()[0].space_low);
}

TEST_CASE("check_restored names what does not fit") {
  auto restored = [](LogId applied) {
    Restored r{{}, RaftLog({{1}, {3}}, 100), voters({1}), applied};
    r.log.restore(make_entry(2, 4));
    return r;
  };
  CHECK(check_restored(test_options(), restored({{2}, {4}})).is_ok());
  CHECK(check_restored(test_options(), restored({{1}, {3}})).is_ok());
  CHECK(check_restored(test_options(), restored({{1}, {4}})).code() == Code::kCorrupt);
  CHECK(check_restored(test_options(), restored({{2}, {5}})).code() == Code::kCorrupt);
  CHECK(check_restored(test_options(), restored({{1}, {2}})).code() == Code::kCorrupt);
  CHECK(check_restored(test_options(0), restored({{1}, {3}})).code() == Code::kInvalid);
  Restored bad = restored({{1}, {3}});
  bad.log.restore(make_entry(2, 5, "not a configuration", EntryKind::kConfiguration));
  CHECK(check_restored(test_options(), bad).code() == Code::kCorrupt);
}

TEST_CASE("a log that is ahead of the stored term raises it") {
  NodeFixture node(voters({1, 2, 3}), {{1}, {2}, {}}, entries_of({1, 4}));
  CHECK(node.node().term() == Term{4});
  node.tick();
  node.persist();
  CHECK(node.disk().durable().hard_state.term == Term{4});
  CHECK(node.disk().durable().hard_state.voted_for == kNoNode);
}

TEST_CASE("a commit hint beyond the log is cut") {
  NodeFixture node(voters({1, 2, 3}), {{1}, {}, {9}}, entries_of({1, 1}));
  CHECK(node.node().commit_index() == Index{2});
}

TEST_CASE("an append with a malformed configuration is ignored whole") {
  NodeFixture node(voters({1, 2, 3}), {{1}, {}, {}}, entries_of({1}));
  node.receive(NodeFixture::append(
      2, 2, {}, {make_entry(2, 1), make_entry(2, 2, "junk", EntryKind::kConfiguration)}));
  CHECK(node.log_terms() == std::vector<uint64_t>{1});
  CHECK(node.node().configuration() == voters({1, 2, 3}));
}

TEST_CASE("random messages neither crash a follower nor undo what is committed") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    NodeFixture node(voters({1, 2, 3}), {{3}, {}, {}}, entries_of({1, 1, 2, 3}));
    node.receive(NodeFixture::append(2, 3, {{3}, {4}}, {make_entry(3, 5)}, 4));
    node.persist();
    Term led;
    for (int i = 0; i < 100; ++i) {
      Message message =
          NodeFixture::message(static_cast<Type>(random.below(13)), 2, 2 + random.below(3));
      message.reject = random.below(2) == 0;
      message.forced = random.below(2) == 0;
      message.log = {{random.below(4)}, {random.below(8)}};
      message.commit = {random.below(9)};
      message.match = {random.below(9)};
      message.hint = {{random.below(4)}, {random.below(9)}};
      message.rejected = {random.below(9)};
      message.read_round = random.below(4);
      for (uint32_t n = random.below(3); n > 0; --n)
        message.entries.push_back(
            make_entry(1 + random.below(4), message.log.index.value + 1 + message.entries.size()));
      // Not as a second leader of the node's own term, which is a reason to stop.
      const bool leads = message.type == Type::kAppend || message.type == Type::kHeartbeat;
      if (node.node().role() == Role::kLeader) led = node.node().term();
      if (leads && message.term == led) continue;
      node.receive(message);
      if (random.below(2) == 0) node.persist();
      if (random.below(5) == 0) node.tick();
      REQUIRE(node.node().commit_index() >= Index{4});
      REQUIRE(node.node().log().contains({{3}, {4}}));
    }
  }
}

TEST_CASE("uncommitted proposals are bounded, one alone always fits") {
  Options options = test_options();
  options.uncommitted_bytes_max = 200;
  NodeFixture node(voters({1, 2, 3}), {}, {}, options);
  node.lead();
  CHECK(node.propose(std::string(500, 'x')).code == Code::kOk);
  CHECK(node.propose("y").code == Code::kBusy);
  node.persist();
  node.acknowledge(2, 2);
  CHECK(node.propose("y").code == Code::kOk);
}

TEST_CASE("waiting reads are bounded") {
  NodeFixture node(voters({1, 2, 3}));
  node.lead();
  Code last = Code::kOk;
  uint64_t asked = 0;
  for (; asked < (1 << 16) + 10 && last == Code::kOk; ++asked) {
    node.step(ReadIndexRequest{asked});
    if (!node.out.reads.empty()) last = node.out.reads[0].code;
  }
  CHECK(last == Code::kBusy);
  CHECK(asked == (1 << 16) + 1);
}

TEST_CASE("entries given out and not applied are bounded in bytes") {
  Options options = test_options();
  options.apply_bytes_max = 3 * entry_bytes(make_entry(1, 1));
  NodeFixture node(voters({1, 2, 3}), {}, {}, options);
  node.stop_applying();
  node.receive(NodeFixture::append(2, 1, {}, entries_of({1, 1, 1, 1, 1, 1}), 6));
  CHECK(node.out.committed.size() == 3);
  node.step(Applied{{2}});
  CHECK(node.out.committed.empty());  // the whole hand-out counts until it is done
  node.step(Applied{{3}});
  REQUIRE(node.out.committed.size() == 3);
  CHECK(node.out.committed[0].id.index == Index{4});
}

TEST_CASE("a candidate's own vote counts when it is durable, not when an earlier write is") {
  NodeFixture node(voters({1}));
  node.receive(NodeFixture::append(2, 1, {}, entries_of({1})));  // write 1
  node.step(Campaign{});                                         // write 2: term 2 and the vote
  REQUIRE(node.node().role() == Role::kCandidate);
  node.step(LogPersisted{node.disk().persist(1)});
  CHECK(node.node().role() == Role::kCandidate);
  node.persist();
  CHECK(node.node().role() == Role::kLeader);
}

TEST_CASE("entries loaded for the state machine before a snapshot was installed are dropped") {
  Options options = test_options();
  options.entry_cache_bytes = 0;
  NodeFixture node(voters({1, 2, 3}), {{1}, {}, {2}}, entries_of({1, 1}), options);
  node.tick();
  REQUIRE(node.out.loads.size() == 1);
  const EntriesLoaded late = node.disk().load(node.out.loads[0]);
  const SnapshotMeta meta{{{1}, {9}}, voters({1, 2, 3})};
  node.step(SnapshotStaged{{2}, {1}, meta});
  REQUIRE(node.out.snapshot_decision == SnapshotDecision::kInstall);
  node.disk().reset(meta.last);
  node.step(SnapshotInstalled{meta});
  node.step(late);
  CHECK(node.out.committed.empty());
  CHECK(node.out.loads.empty());
  CHECK(node.node().applied_index() == Index{9});
}

TEST_CASE("an answer to an older load for a peer leaves the newer one outstanding") {
  Options options = test_options();
  options.entry_cache_bytes = 0;
  NodeFixture node(voters({1, 2, 3}), {{1}, {}, {}}, entries_of({1, 1, 1, 1, 1, 1}), options);
  node.elect();
  node.persist();
  node.acknowledge(2, 7);
  Message reply = NodeFixture::message(Type::kAppendReply, 3, node.node().term().value);
  reply.reject = true;
  reply.rejected = {6};
  reply.hint = {{1}, {1}};
  node.receive(reply);
  REQUIRE(node.out.loads.size() == 1);
  CHECK(node.out.loads[0].first == Index{2});
  const EntriesLoaded first = node.disk().load(node.out.loads[0]);
  node.acknowledge(3, 4);  // the peer is further than that
  REQUIRE(node.out.loads.size() == 1);
  CHECK(node.out.loads[0].first == Index{5});
  node.step(first);
  CHECK(node.out.messages.empty());
  CHECK(node.out.loads.empty());
}

TEST_CASE("write tracker: completions count for what still stands") {
  WriteTracker tracker({5});
  tracker.add(Index{8}, 1);   // 6..8
  tracker.add(Index{10}, 2);  // 9..10
  tracker.truncate_from({8});
  tracker.add(Index{9}, 3);  // another 8..9
  CHECK(tracker.oldest_age(4) == 3);
  tracker.persisted(1);
  CHECK(tracker.durable() == Index{7});
  tracker.persisted(2);
  CHECK(tracker.durable() == Index{7});
  tracker.persisted(2);  // again
  tracker.persisted(3);
  CHECK(tracker.durable() == Index{9});
  CHECK(tracker.idle());
}

TEST_CASE("write tracker: a truncation takes durable entries back, a reset all") {
  WriteTracker tracker({5});
  tracker.truncate_from({3});
  CHECK(tracker.durable() == Index{2});
  tracker.add(Index{30}, 1);  // a longer log than the snapshot's, which is gone
  tracker.add(std::nullopt, 1);
  tracker.reset({20});
  CHECK(tracker.durable() == Index{20});
  tracker.persisted(2);
  CHECK(tracker.durable() == Index{20});
  tracker.add(Index{21}, 2);
  tracker.persisted(3);
  CHECK(tracker.durable() == Index{21});
}

TEST_CASE("inflight: counts, bytes and cumulative release") {
  Inflight inflight;
  inflight.add({5}, 100);
  inflight.add({9}, 50);
  CHECK(inflight.count() == 2);
  CHECK(inflight.bytes() == 150);
  CHECK_FALSE(inflight.free_to({4}));
  CHECK(inflight.free_to({7}));
  CHECK(inflight.bytes() == 50);
  CHECK(inflight.free_to({9}));
  CHECK(inflight.empty());
  CHECK(inflight.bytes() == 0);
}

}  // namespace kvstore::raft::testing
