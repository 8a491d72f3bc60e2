// Goal: a lease takes its keys with it through the ordinary history, at the right generation and in
// bounded pieces; a TTL belongs to one value of one key; what is refused changes nothing.
// Method: one case per rule; the records in the system space are counted after each step.
#include "kv/change_reader.hpp"
#include "kv/leases.hpp"
#include "kv/reader.hpp"
#include "kv_testing.hpp"

namespace kvstore::kv::test {
namespace {

constexpr uint64_t kTtlMs = 5000;

// What the store has of leases and of the index of their keys.
size_t lease_pairs(Machine& m) {
  return m.space_size(kSpaceSystem) - 1;  // beside the machine record
}

// The generation of the newest entry's grant.
uint64_t grant(Machine& m, uint64_t id) {
  const CommandResult r = m.apply(LeaseGrant{id, kTtlMs});
  REQUIRE(r.code == Code::kOk);
  return m.index;
}

std::string past_value(Machine& m, const std::string& key, uint64_t revision) {
  auto view = m.store.open_view();
  std::string value;
  Status s = read_item(**view, revision, key, [&value](const ItemView& item) {
    value = item.value;
    return true;
  });
  return s.is_ok() ? value : "";
}

}  // namespace

TEST_CASE("a lease takes its keys with it in one revision, and the past keeps them") {
  Machine m;
  grant(m, 7);
  CHECK(m.machine->revision() == 0);
  m.apply({put_leased("a", "1", 7), put_leased("b", "2", 7), put("c", "3")});
  CHECK(m.item("a") == Item{"a", "1", 1, 1, 1, 7, 1});
  CHECK(lease_pairs(m) == 3);
  CommandResult r = m.apply(LeaseEnd{{{7, 0}}});
  CHECK(r.code == Code::kOk);
  CHECK(r.revision == 2);
  REQUIRE(r.ops.size() == 1);
  CHECK(r.ops[0].count == 2);
  CHECK_FALSE(r.ops[0].more);
  CHECK_FALSE(m.has("a"));
  CHECK_FALSE(m.has("b"));
  CHECK(m.has("c"));
  CHECK(lease_pairs(m) == 0);
  CHECK(past_value(m, "a", 1) == "1");
  CHECK(m.space_size(kSpaceChanges) == 5);
  CHECK(m.apply(LeaseEnd{{{7, 0}}}).code == Code::kNotFound);
}

TEST_CASE("a lease without keys ends without a revision") {
  Machine m;
  grant(m, 7);
  CommandResult r = m.apply(LeaseEnd{{{7, 0}}});
  CHECK(r.code == Code::kOk);
  CHECK(r.revision == 0);
  CHECK(lease_pairs(m) == 0);
}

TEST_CASE("grants out of range and of ids that are taken are refused") {
  Machine m;
  CHECK(m.apply(LeaseGrant{0, kTtlMs}).code == Code::kInvalid);
  CHECK(m.apply(LeaseGrant{kLeaseIdMax + 1, kTtlMs}).code == Code::kInvalid);
  CHECK(m.apply(LeaseGrant{1, kTtlMsMax + 1}).code == Code::kInvalid);
  CommandResult r = m.apply(LeaseGrant{1, kTtlMsMin - 1});
  CHECK(r.code == Code::kInvalid);
  CHECK(r.message == "a ttl of 99 ms is not in 100 ms..365 days");
  grant(m, 1);
  r = m.apply(LeaseGrant{1, kTtlMs});
  CHECK(r.code == Code::kConflict);
  CHECK(r.message == "lease 1 exists already");
  CHECK(lease_pairs(m) == 1);
}

TEST_CASE("a put needs its lease, and asks for one thing only") {
  Machine m;
  CommandResult r = m.apply({put("a", "1"), put_leased("b", "2", 9)});
  CHECK(r.code == Code::kNotFound);
  CHECK(r.message == "there is no lease 9");
  CHECK_FALSE(m.has("a"));
  Op both = put_leased("a", "1", 9);
  both.ttl_ms = kTtlMs;
  CHECK(m.apply({both}).message == "then[0]: a put takes either a lease or a ttl");
  CHECK(m.apply({put_ttl("a", "1", kTtlMsMin - 1)}).code == Code::kInvalid);
  CHECK(m.apply({put_leased("a", "1", kLeaseIdMax + 1)}).code == Code::kInvalid);
  Op erase = del("a");
  erase.ttl_ms = kTtlMs;
  CHECK(m.apply({erase}).message == "then[0]: only a put takes a lease or a ttl");
  CHECK(lease_pairs(m) == 0);
  CHECK(m.machine->revision() == 0);
}

TEST_CASE("an expiry of another generation is ignored") {
  Machine m;
  const uint64_t first = grant(m, 7);
  m.apply(LeaseEnd{{{7, first}}});
  const uint64_t second = grant(m, 7);
  CHECK(second > first);
  m.apply({put_leased("a", "1", 7)});
  CHECK(m.apply(LeaseEnd{{{7, first}}}).code == Code::kNotFound);
  CHECK(m.has("a"));
  CHECK(m.apply(LeaseEnd{{{7, second}}}).code == Code::kOk);
  CHECK_FALSE(m.has("a"));
}

TEST_CASE("the last put decides to which lease a key belongs") {
  Machine m;
  grant(m, 1);
  grant(m, 2);
  m.apply({put_leased("a", "1", 1)});
  m.apply({put_leased("a", "2", 2)});
  CHECK(m.item("a").lease == 2);
  CHECK(m.apply(LeaseEnd{{{1, 0}}}).ops[0].count == 0);
  m.apply({put("a", "3")});
  CHECK(m.item("a").lease == 0);
  CHECK(m.apply(LeaseEnd{{{2, 0}}}).ops[0].count == 0);
  CHECK(m.item("a").value == "3");
  CHECK(lease_pairs(m) == 0);
}

TEST_CASE("a TTL belongs to the value it came with") {
  Machine m;
  m.apply({put_ttl("a", "1", kTtlMs), put_ttl("b", "2", kTtlMs + 1)});
  CHECK(m.item("a") == Item{"a", "1", 1, 1, 1, 0, 1, kTtlMs});
  CHECK(lease_pairs(m) == 4);
  SUBCASE("it expires alone") {
    CHECK(m.apply(LeaseEnd{{{own_lease_id(1, 0), 1}}}).ops[0].count == 1);
    CHECK_FALSE(m.has("a"));
    CHECK(m.has("b"));
    CHECK(lease_pairs(m) == 2);
  }
  SUBCASE("an overwrite without one ends it") {
    m.apply({put("a", "3")});
    CHECK(m.item("a").ttl_ms == 0);
    CHECK(m.apply(LeaseEnd{{{own_lease_id(1, 0), 1}}}).code == Code::kNotFound);
    CHECK(m.has("a"));
    CHECK(lease_pairs(m) == 2);
  }
  SUBCASE("an overwrite with one begins it anew") {
    m.apply({put_ttl("a", "3", kTtlMs)});
    CHECK(m.apply(LeaseEnd{{{own_lease_id(1, 0), 1}}}).code == Code::kNotFound);
    CHECK(m.apply(LeaseEnd{{{own_lease_id(2, 0), 2}}}).ops[0].count == 1);
    CHECK_FALSE(m.has("a"));
  }
  SUBCASE("a delete ends it, of a key or of a range") {
    m.apply({del("a"), del(prefix("b"))});
    CHECK(lease_pairs(m) == 0);
    m.apply({put_ttl("c", "1", kTtlMs), del("c")});
    CHECK(lease_pairs(m) == 0);
  }
  SUBCASE("a transaction that is refused leaves it alone") {
    CHECK(m.apply({put("a", "3"), put_leased("b", "", 9)}).code == Code::kNotFound);
    CHECK(m.item("a").ttl_ms == kTtlMs);
    CHECK(m.apply(LeaseEnd{{{own_lease_id(1, 0), 1}}}).ops[0].count == 1);
  }
  SUBCASE("it is no lease to clients") {
    using T = Compare::Target;
    const Compare none = compare(T::kLease, Compare::Op::kEq, key_range("a"), 0);
    CHECK(m.apply(txn({none}, {get("a")})).succeeded);
  }
}

TEST_CASE("many keys go in pieces, and no key joins a lease that ends") {
  Machine m;
  grant(m, 7);
  grant(m, 8);
  for (uint64_t i = 0; i < kLeaseEndKeysMax + 300; i++)
    m.apply({put_leased("k" + std::to_string(i), "v", 7)});
  m.apply({put_leased("other", "v", 8)});
  const LeaseEnd end{{{7, 0}, {8, 0}}};
  CommandResult r = m.apply(end);
  CHECK(r.ops[0].count == kLeaseEndKeysMax);
  CHECK(r.ops[0].more);
  CHECK(m.apply({put_leased("late", "v", 7)}).code == Code::kNotFound);
  m.reopen();
  CHECK(m.apply({put_leased("late", "v", 8)}).code == Code::kNotFound);
  r = m.apply(end);
  CHECK(r.ops[0].count == 301);
  CHECK_FALSE(r.ops[0].more);
  CHECK(m.space_size(kSpaceUser) == 0);
  CHECK(lease_pairs(m) == 0);
}

TEST_CASE("each piece that leaves keys says that another is due") {
  Machine m;
  const uint64_t generation = grant(m, 7);
  for (uint64_t i = 0; i < 3 * kLeaseEndKeysMax + 1; i++)
    m.apply({put_leased("k" + std::to_string(i), "v", 7)});
  m.machine->take_lease_changes();
  const std::vector<LeaseChange> ending = {{7, generation, kTtlMs, true}};
  for (int piece = 0; piece < 3; piece++) {
    CHECK(m.apply(LeaseEnd{{{7, 0}}}).ops[0].more);
    CHECK(m.machine->take_lease_changes().changes == ending);
  }
  CHECK_FALSE(m.apply(LeaseEnd{{{7, 0}}}).ops[0].more);
  CHECK(m.machine->take_lease_changes().changes == std::vector<LeaseChange>{{7, 0, 0, false}});
}

TEST_CASE("large values make the pieces smaller, whatever else is in the batch") {
  constexpr size_t kKeys = 20;
  const LeaseEnd end{{{7, 0}}};
  std::vector<Command> commands = {LeaseGrant{7, kTtlMs}};
  for (size_t i = 0; i < kKeys; i++)
    commands.push_back(
        txn({put_leased("k" + std::to_string(10 + i), std::string(kPartBytes, 'v'), 7)}));
  for (size_t i = 0; i < 3; i++) commands.emplace_back(end);
  Machine together, single;
  std::vector<CommandResult> results = together.apply(commands);
  for (size_t i = 0; i < commands.size(); i++) CHECK((single.apply(commands[i]) == results[i]));
  CHECK(together.store.data().contents() == single.store.data().contents());
  const size_t first = 1 + kKeys;
  CHECK(results[first].ops[0].count == 8);
  CHECK(results[first].ops[0].more);
  CHECK(results[first + 2].ops[0].count == kKeys - 16);
  CHECK_FALSE(results[first + 2].ops[0].more);
  CHECK(past_value(together, "k15", kKeys).size() == kPartBytes);
}

TEST_CASE("what changed is told in order, and everything after a reload") {
  Machine m;
  CHECK(m.machine->take_lease_changes().reset);
  const uint64_t generation = grant(m, 7);
  m.apply({put_ttl("a", "1", kTtlMs)});
  m.apply({put("a", "2")});
  LeaseChanges changes = m.machine->take_lease_changes();
  CHECK_FALSE(changes.reset);
  CHECK(changes.changes == std::vector<LeaseChange>{{7, generation, kTtlMs, false},
                                                    {own_lease_id(1, 0), 1, kTtlMs, false},
                                                    {own_lease_id(1, 0), 0, 0, false}});
  CHECK(m.machine->take_lease_changes().changes.empty());
  REQUIRE(m.machine->reload());
  changes = m.machine->take_lease_changes();
  CHECK(changes.reset);
  CHECK(changes.changes == std::vector<LeaseChange>{{7, generation, kTtlMs, false}});
}

TEST_CASE("changes that nobody takes stay bounded") {
  Machine m;
  m.machine->take_lease_changes();
  grant(m, 7);
  for (int i = 0; i < 5000; i++) m.apply({put_ttl("a", "1", kTtlMs)});
  LeaseChanges changes = m.machine->take_lease_changes();
  CHECK(changes.reset);
  CHECK(changes.changes.size() < 5000);
  std::map<uint64_t, LeaseChange> known;
  for (const LeaseChange& change : changes.changes) {
    if (change.ttl_ms == 0)
      known.erase(change.id);
    else
      known[change.id] = change;
  }
  CHECK(known.size() == 2);
}

TEST_CASE("leases and TTLs are bounded together") {
  Machine m;
  std::vector<Command> commands;
  for (uint64_t id = 1; id < kLeasesMax; id++) commands.emplace_back(LeaseGrant{id, kTtlMs});
  m.apply(commands);
  CHECK(m.apply({put_ttl("a", "1", kTtlMs), put_ttl("b", "1", kTtlMs)}).code == Code::kBusy);
  CHECK(m.apply({put_ttl("a", "1", kTtlMs)}).code == Code::kOk);
  CHECK(m.apply(LeaseGrant{kLeasesMax, kTtlMs}).code == Code::kBusy);
  CHECK(m.apply({put_ttl("a", "1", kTtlMs)}).code == Code::kOk);  // in place of the one it had
  CHECK(m.apply({put_ttl("b", "1", kTtlMs)}).code == Code::kBusy);
}

}  // namespace kvstore::kv::test
