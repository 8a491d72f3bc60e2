// Goal: membership edits go one at a time and each caller hears how its own ended.
// Method: the manager drives a real consensus core of one voter, whose disk answers when told to.
#include "node/membership_manager.hpp"

#include "table_testing.hpp"

namespace kvstore::node {
namespace {

constexpr raft::NodeId kSelf{11};

struct Fixture {
  raft::RaftNode raft = make();
  raft::Output out;
  MembershipManager manager;
  std::vector<Status> ends;
  uint64_t now_ms = 0;

  static raft::RaftNode make() {
    raft::Configuration configuration = Membership::bootstrap({kSelf, "n1", "h1:1"});
    raft::Entry entry;
    entry.id = {{1}, {1}};
    entry.kind = raft::EntryKind::kConfiguration;
    entry.data = SharedBytes(configuration.encode());
    entry.crc = raft::entry_crc(entry.id, entry.kind, entry.data.view());
    raft::RaftLog log({}, 1 << 20);
    log.restore(entry);
    raft::Options options;
    options.id = kSelf;
    return {options, {{{1}, kSelf, {1}}, std::move(log), {}, {}}};
  }

  void lead() {
    raft.step(raft::Campaign{}, &out);
    settle();
    REQUIRE(raft.leader_ready());
  }
  // Disk and state machine do all their work.
  void settle() {
    for (int i = 0; i < 10; ++i) {
      raft::Output now = std::exchange(out, {});
      for (const raft::ProposeResult& r : now.proposals) manager.on_proposed(r);
      for (const raft::LogWrite& w : now.log_writes) {
        raft.step(raft::LogPersisted{w.sequence}, &out);
      }
      for (const raft::Entry& e : now.committed) raft.step(raft::Applied{e.id.index}, &out);
      pump();
    }
  }
  void pump() {
    manager.pump(raft, membership(), now_ms,
                 [this](raft::Event event) { raft.step(std::move(event), &out); });
  }
  Membership membership() { return Membership::decode(raft.configuration()).value(); }
  void admit(const std::string& name, uint64_t deadline_ms = UINT64_MAX) {
    manager.enqueue(
        [name](Membership* m, raft::Configuration*) {
          return m->admit({name, name + ":1", false});
        },
        deadline_ms, [this](const Status& status) { ends.push_back(status); });
  }
};

TEST_CASE_FIXTURE(Fixture, "edits are committed in order, each seeing the one before") {
  lead();
  admit("n2");
  admit("n3");
  pump();
  CHECK(ends.empty());
  CHECK(raft.configuration_change_pending());
  settle();
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].is_ok());
  CHECK(ends[1].is_ok());
  CHECK(membership().admissions().size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "an edit that is refused or changes nothing proposes nothing") {
  lead();
  raft::Index last = raft.log().last().index;
  admit("bad name");
  manager.enqueue([](Membership*, raft::Configuration*) { return Status::ok(); }, UINT64_MAX,
                  [this](const Status& status) { ends.push_back(status); });
  settle();
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].code() == Code::kInvalid);
  CHECK(ends[1].is_ok());
  CHECK(raft.log().last().index == last);
}

TEST_CASE_FIXTURE(Fixture, "a configuration that consensus refuses ends the edit") {
  lead();
  manager.enqueue(
      [](Membership* m, raft::Configuration* c) {
        m->remove(kSelf);
        c->remove(kSelf);  // the last voter
        return Status::ok();
      },
      UINT64_MAX, [this](const Status& status) { ends.push_back(status); });
  settle();
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].code() == Code::kInvalid);
}

TEST_CASE_FIXTURE(Fixture, "a node that does not lead ends what is queued with NOT_LEADER") {
  admit("n2");
  pump();
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].code() == Code::kNotLeader);
}

TEST_CASE_FIXTURE(Fixture, "leadership lost under way leaves the edit unknown, the queue refused") {
  lead();
  admit("n2");
  pump();
  admit("n3");
  for (const raft::ProposeResult& r : out.proposals) manager.on_proposed(r);
  raft::Message message;
  message.type = raft::MessageType::kHeartbeat;
  message.from = {12};
  message.to = kSelf;
  message.term = raft.term() + 1;
  raft.step(raft::MessageReceived{message}, &out);
  REQUIRE(raft.role() == raft::Role::kFollower);
  pump();
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].code() == Code::kIndeterminate);
  CHECK(ends[1].code() == Code::kNotLeader);
}

TEST_CASE_FIXTURE(Fixture, "an edit whose turn comes too late is not made") {
  lead();
  admit("n2", 100);
  pump();
  admit("n3", 100);
  admit("n4", 200);
  now_ms = 100;
  pump();
  REQUIRE(ends.size() == 1);  // n3: n2 is under way and is let be
  CHECK(ends[0].code() == Code::kTimeout);
  settle();
  REQUIRE(ends.size() == 3);
  CHECK(ends[1].is_ok());
  CHECK(ends[2].is_ok());
  CHECK(membership().find_admission("n3") == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "the queue is bounded") {
  for (size_t i = 0; i < MembershipManager::kQueueMax; ++i) admit("n" + std::to_string(i));
  CHECK(ends.empty());
  admit("one-too-many");
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].code() == Code::kBusy);
  manager.fail_all(Code::kClosed, "end");
  CHECK(ends.size() == MembershipManager::kQueueMax + 1);
}

TEST_CASE_FIXTURE(Fixture, "callers wait for a role until it is there, gone, or late") {
  lead();
  admit("n2");
  settle();
  Ends callers;
  auto wait = [&](const std::string& name, bool learner_is_enough) {
    manager.wait_for_role({name, learner_is_enough, 1'000, make_control(&callers, 1'000)});
  };
  auto check = [&](uint64_t at_ms) { manager.check_role_waits(raft, membership(), at_ms); };
  wait("n1", false);
  wait("n2", false);
  wait("nobody", false);
  check(0);
  REQUIRE(callers.controls.size() == 2);
  CHECK(callers.controls[0].code == Code::kOk);
  CHECK(callers.controls[0].json.find("voter") != std::string::npos);
  CHECK(callers.controls[1].code == Code::kNotFound);
  check(999);
  CHECK(callers.controls.size() == 2);
  check(1'000);
  REQUIRE(callers.controls.size() == 3);
  CHECK(callers.controls[2].code == Code::kOk);
  CHECK(callers.controls[2].json.find("pending") != std::string::npos);
}

}  // namespace
}  // namespace kvstore::node
