// Goal: the machine around the transactions: marks, configurations, time, restart, and stopping at
// what it cannot understand or trust.
// Method: entries of every kind into a machine over a store in memory, damaged where a case says
// so.
#include "kv_testing.hpp"

namespace kvstore::kv::test {
namespace {

LogEntry noop(uint64_t term, uint64_t index) {
  return {term, index, LogEntry::Kind::kNoop, {}};
}
LogEntry configuration(uint64_t index, Bytes data) {
  return {2, index, LogEntry::Kind::kConfiguration, data};
}

}  // namespace

TEST_CASE("every entry moves the applied mark, and the newest configuration is its meta") {
  Machine m;
  std::string command = encode_command(txn({put("a", "1")}));
  std::vector<LogEntry> entries = {noop(1, 1),
                                   configuration(2, "first"),
                                   {2, 3, LogEntry::Kind::kCommand, command},
                                   configuration(4, "second"),
                                   noop(3, 5)};
  std::vector<CommandResult> results;
  REQUIRE(m.machine->apply(entries, &results).is_ok());
  REQUIRE(results.size() == 5);
  CHECK(results[1].revision == 0);
  CHECK(results[2].revision == 1);
  CHECK(results[4].revision == 1);
  CHECK(m.machine->applied_index() == 5);
  AppliedMark mark = m.store.data().applied;
  CHECK(mark.term == 3);
  CHECK(mark.index == 5);
  CHECK(mark.meta == "second");
  REQUIRE(m.machine->apply(std::vector{noop(3, 6)}, &results).is_ok());
  CHECK(m.store.data().applied.meta == "second");
}

TEST_CASE("a configuration is written with the mark of a flush that covers it, never before") {
  Machine m;
  std::string change = encode_command(txn({put("a", "1")}));
  std::string range = encode_command(txn({get(all())}));
  auto command = [](uint64_t index, Bytes data) {
    return LogEntry{2, index, LogEntry::Kind::kCommand, data};
  };
  std::vector<CommandResult> results;
  std::vector<LogEntry> entries = {command(1, change), configuration(2, "one"), command(3, range),
                                   configuration(4, "two")};
  REQUIRE(m.machine->apply(std::span(entries).first(3), &results).is_ok());
  CHECK(m.store.write_marks == std::vector<uint64_t>{2, 3});
  CHECK(m.store.data().applied.meta == "one");
  REQUIRE(m.machine->apply(std::span(entries).last(1), &results).is_ok());
  CHECK(m.store.data().applied.meta == "two");
}

TEST_CASE("no entries are no write") {
  Machine m;
  std::vector<CommandResult> results(3);
  CHECK(m.machine->apply({}, &results).is_ok());
  CHECK(results.empty());
  CHECK(m.store.write_marks.empty());
}

TEST_CASE("a restart goes on with revision, time and mark") {
  Machine m;
  m.time_ms = 77;
  m.apply({put("a", "1")});
  m.apply({put("a", "2")});
  m.reopen();
  CHECK(m.machine->revision() == 2);
  CHECK(m.machine->applied_index() == 2);
  CHECK(m.machine->newest_time_ms() == 77);
  CHECK(m.apply({put("a", "3")}).revision == 3);
  CHECK(m.item("a") == Item{"a", "3", 1, 3, 3, 0, 1});
}

TEST_CASE("the newest time never decreases") {
  Machine m;
  m.time_ms = 500;
  m.apply({put("a", "1")});
  m.time_ms = 400;
  m.apply(upload_part(1, 0, 1));
  CHECK(m.machine->newest_time_ms() == 500);
  CHECK(m.machine->oldest_upload_ms() == 500);
}

TEST_CASE("entries that do not follow the applied one are an error") {
  Machine m;
  std::vector<CommandResult> results;
  Status s = m.machine->apply(std::vector{noop(1, 2)}, &results);
  CHECK(s.code() == Code::kInternal);
  CHECK(s.message() == "apply: entry 2 follows entry 0");
  m.reopen();
  CHECK_FALSE(m.machine->apply(std::vector{noop(1, 1), noop(1, 3)}, &results).is_ok());
  CHECK(m.store.write_marks.empty());
}

TEST_CASE("a command that this version does not know stops the machine before any effect") {
  Machine m;
  std::string known = encode_command(txn({put("a", "1")}));
  std::string unknown = known;
  unknown[9] = 42;
  std::vector<LogEntry> entries = {{1, 1, LogEntry::Kind::kCommand, known},
                                   {1, 2, LogEntry::Kind::kCommand, unknown}};
  std::vector<CommandResult> results;
  Status s = m.machine->apply(entries, &results);
  CHECK(s.code() == Code::kUnsupported);
  CHECK(s.message() == "entry 2: command: kind 42 is unknown");
  CHECK_FALSE(m.has("a"));
  CHECK(m.machine->apply(std::span(entries).first(1), &results).code() == Code::kUnsupported);
  entries[0].data = "";
  m.reopen();
  CHECK(m.machine->apply(entries, &results).code() == Code::kCorrupt);
}

TEST_CASE("a failed write is final until the store is read again") {
  Machine m;
  m.apply({put("a", "1")});
  m.store.fail_next_write(Status(Code::kIo, "disk"));
  std::vector<CommandResult> results;
  CHECK(m.try_apply({txn({put("a", "2")})}, &results).code() == Code::kIo);
  CHECK(m.machine->revision() == 1);
  CHECK(m.machine->applied_index() == 1);
  CHECK(m.try_apply({txn({put("a", "3")})}, &results).code() == Code::kIo);
  REQUIRE(m.machine->reload().is_ok());
  m.index = m.machine->applied_index();
  CHECK(m.apply({put("a", "4")}).revision == 2);
}

TEST_CASE("reload takes over what a snapshot install left in the store") {
  Machine source;
  source.time_ms = 9000;
  source.apply({put("a", "1")});
  source.apply({put("b", "1")});
  source.apply(upload_part(4, 0, 3));
  Machine m;
  m.apply({put("old", "1")});
  m.store.replace(source.store.data());
  REQUIRE(m.machine->reload().is_ok());
  CHECK(m.machine->revision() == 2);
  CHECK(m.machine->applied_index() == 3);
  CHECK(m.machine->newest_time_ms() == 9000);
  CHECK(m.machine->open_uploads() == 1);
  m.index = 3;
  CHECK(m.apply({put("c", "1"), get(all(), kOpCountOnly)}).ops[1].count == 3);
}

TEST_CASE("a damaged record is CORRUPT and names the key") {
  Machine m;
  m.apply({put("a\n", "1")});
  MemoryData data = m.store.data();
  data.spaces[kSpaceUser]["a\n"][0] = 9;
  m.store.replace(data);
  for (const Op& op : {put("a\n", "2"), get(all()), del(prefix("a"))}) {
    m.reopen();
    m.index = 1;
    std::vector<CommandResult> results;
    Status s = m.try_apply({txn({op})}, &results);
    CHECK(s.code() == Code::kCorrupt);
    CHECK(s.message() == "key \"a\\x0a\": stored record: unknown format");
  }
}

TEST_CASE("a store without its machine record, or with a damaged one, is not opened") {
  Machine m;
  m.apply({put("a", "1")});
  m.apply(upload_part(4, 0, 3));
  MemoryData good = m.store.data();
  auto open_with = [&](auto damage) {
    MemoryData data = good;
    damage(data.spaces[kSpaceSystem]);
    m.store.replace(data);
    return StateMachine::open(&m.store).status();
  };
  using Space = MemoryData::Space;
  CHECK(open_with([](Space& s) { s.erase("machine"); }).message() ==
        "the store has keys but no record of its revision");
  CHECK(open_with([](Space& s) { s["machine"].push_back('x'); }).code() == Code::kCorrupt);
  CHECK(open_with([](Space& s) { s["machine"][0] = 1; }).code() == Code::kCorrupt);
  CHECK(open_with([](Space& s) { s[upload_key(4)].pop_back(); }).code() == Code::kCorrupt);
  CHECK(open_with([](Space& s) { s["upload/abc"] = s[upload_key(4)]; }).code() == Code::kCorrupt);
  CHECK(open_with([](Space& s) {
          s[upload_key(4)] = encode_upload({5, 2, 1});
        }).code() == Code::kCorrupt);
  CHECK(open_with([](Space&) {}).is_ok());
}

}  // namespace kvstore::kv::test
