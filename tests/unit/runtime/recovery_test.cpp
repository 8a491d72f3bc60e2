// Goal: at start, log and state fit together, are brought together, or are refused with a reason.
// Method: real stores in memory, filled as crashes leave them.
#include "node/runtime/recovery.hpp"

#include <doctest/doctest.h>

#include "node/membership.hpp"
#include "plugin/slice.hpp"
#include "plugin_set.hpp"

namespace kvstore::node::runtime {
namespace {

struct Fixture {
  plugin::LogStore log = plugin::LogStore::open(test::plugins().log, test::runtime_host(),
                                                options(), {true, false, "memory"})
                             .value();
  plugin::StateStore state = plugin::StateStore::open(test::plugins().state, test::runtime_host(),
                                                      options(), {true, false, "memory"})
                                 .value();
  StateAdapter adapter{&state};
  raft::Configuration configuration = Membership::bootstrap({{7}, "n1", "h:1"});

  static plugin::StorageOptions options() {
    plugin::StorageOptions o;
    o.data_dir = "unused";
    o.create = true;
    return o;
  }
  Result<raft::Restored> recover_all() { return recover(&log, &adapter, 1 << 20); }

  static raft::Entry entry(uint64_t term, uint64_t index) {
    raft::Entry e;
    e.id = {{term}, {index}};
    e.kind = raft::EntryKind::kCommand;
    e.data = SharedBytes(std::string("entry ") + std::to_string(index));
    e.crc = raft::entry_crc(e.id, e.kind, e.data.view());
    return e;
  }
  void append(uint64_t term, uint64_t first, uint64_t last, bool damaged = false) {
    for (uint64_t i = first; i <= last; ++i) {
      raft::Entry e = entry(term, i);
      kvs_entry raw{{term, i},
                    static_cast<uint32_t>(e.kind),
                    e.crc ^ (damaged ? 1u : 0u),
                    plugin::to_slice(e.data.view())};
      REQUIRE(log.write(KVS_LOG_SYNC, {}, 0, {&raw, 1}).is_ok());
    }
  }
  void set_hard(uint64_t term, uint64_t voted, uint64_t commit) {
    REQUIRE(log.write(KVS_LOG_SYNC | KVS_LOG_SET_HARD_STATE, {term, voted, commit}, 0, {}).is_ok());
  }
  void apply_up_to(uint64_t term, uint64_t index) {
    REQUIRE(adapter.write({}, {term, index, configuration.encode()}).is_ok());
  }
};

TEST_CASE_FIXTURE(Fixture, "a bootstrapped log makes a sole voter, however often it is written") {
  for (int i = 0; i < 2; ++i) REQUIRE(write_bootstrap(&log, configuration).is_ok());
  Result<raft::Restored> restored = recover_all();
  REQUIRE(restored.is_ok());
  CHECK(restored->hard_state == raft::HardState{{1}, {7}, {1}});
  CHECK(restored->log.last() == raft::LogId{{1}, {1}});
  raft::Options options;
  options.id = {7};
  CHECK(raft::check_restored(options, *restored).is_ok());
  raft::RaftNode node(options, std::move(*restored));
  CHECK(node.configuration() == configuration);
}

TEST_CASE_FIXTURE(Fixture, "a log that holds data is not bootstrapped over") {
  append(1, 1, 2);
  CHECK(write_bootstrap(&log, configuration).code() == Code::kInvalid);
  REQUIRE(log.reset({3, 9}).is_ok());
  CHECK(write_bootstrap(&log, configuration).code() == Code::kInvalid);
}

TEST_CASE_FIXTURE(Fixture, "log and state that agree come back as they were") {
  set_hard(2, 7, 4);
  append(1, 1, 3);
  append(2, 4, 6);
  apply_up_to(1, 3);
  Result<raft::Restored> restored = recover_all();
  REQUIRE(restored.is_ok());
  CHECK(restored->applied == raft::LogId{{1}, {3}});
  CHECK(restored->configuration == configuration);
  CHECK(restored->hard_state == raft::HardState{{2}, {7}, {4}});
  CHECK(restored->log.last() == raft::LogId{{2}, {6}});
  CHECK(restored->log.term_at({3}) == raft::Term{1});
  CHECK(restored->log.cached({1}, {6}, UINT64_MAX).size() == 6);
}

TEST_CASE_FIXTURE(Fixture, "a commit hint beyond the log is cut") {
  set_hard(1, 7, 9);
  append(1, 1, 3);
  CHECK(recover_all()->hard_state.commit == raft::Index{3});
}

TEST_CASE_FIXTURE(Fixture, "a log that lost its tail starts at the state") {
  set_hard(3, 7, 2);
  append(1, 1, 2);
  apply_up_to(2, 5);
  Result<raft::Restored> restored = recover_all();
  REQUIRE(restored.is_ok());
  CHECK(restored->log.base() == raft::LogId{{2}, {5}});
  CHECK(restored->log.last() == raft::LogId{{2}, {5}});
  // Its vote is kept: term 3 is above everything applied.
  CHECK(restored->hard_state.term == raft::Term{3});
  CHECK(restored->hard_state.voted_for == raft::NodeId{7});
  CHECK(log.state()->base.index == 5);
}

TEST_CASE_FIXTURE(Fixture, "an install cut short is finished: the state's term is taken") {
  set_hard(1, 7, 2);
  append(1, 1, 8);
  apply_up_to(4, 5);  // the log holds index 5 in another term
  Result<raft::Restored> restored = recover_all();
  REQUIRE(restored.is_ok());
  CHECK(restored->log.base() == raft::LogId{{4}, {5}});
  CHECK(restored->log.last() == raft::LogId{{4}, {5}});
  CHECK(restored->hard_state == raft::HardState{{4}, {}, {5}});
  CHECK(log.state()->hard.term == 4);
}

TEST_CASE_FIXTURE(Fixture, "a damaged entry is refused by its index") {
  append(1, 1, 2);
  append(1, 3, 3, true);
  Status s = recover_all().status();
  CHECK(s.code() == Code::kCorrupt);
  CHECK(s.message().find("entry 3") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a state behind the log's beginning lost data") {
  set_hard(1, 7, 5);
  append(1, 1, 5);
  REQUIRE(log.compact({1, 4}).is_ok());
  apply_up_to(1, 2);
  Status s = recover_all().status();
  CHECK(s.code() == Code::kCorrupt);
  CHECK(s.message().find("the state lost data") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "an emptied log under a state forgot its votes and is refused") {
  apply_up_to(2, 5);
  Status s = recover_all().status();
  CHECK(s.code() == Code::kCorrupt);
  CHECK(s.message().find("the log was lost") != std::string::npos);
  // With a term of its own it is an install that was cut short on a new node.
  set_hard(2, 0, 0);
  CHECK(recover_all().is_ok());
}

}  // namespace
}  // namespace kvstore::node::runtime
