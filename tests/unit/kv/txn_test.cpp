// Goal: transactions change keys, revisions and versions exactly as the data model says.
// Method: one case per rule, on a machine over a store in memory, looking at results and content.
#include "kv_testing.hpp"

namespace kvstore::kv::test {

TEST_CASE("a put creates a key with version 1 and the transaction's revision") {
  Machine m;
  CommandResult r = m.apply({put("a", "1")});
  CHECK(r.code == Code::kOk);
  CHECK(r.succeeded);
  CHECK(r.revision == 1);
  REQUIRE(r.ops.size() == 1);
  CHECK(r.ops[0].kind == Op::Kind::kPut);
  CHECK(r.ops[0].count == 1);
  CHECK(m.item("a") == Item{"a", "1", 1, 1, 1, 0, 1});
  CHECK(m.machine->revision() == 1);
}

TEST_CASE("a put over a key keeps its creation and counts its version") {
  Machine m;
  m.apply({put("a", "1")});
  m.apply({put("b", "x")});
  m.apply({put("a", "2")});
  CHECK(m.item("a") == Item{"a", "2", 1, 3, 2, 0, 1});
}

TEST_CASE("putting the same value changes all the same") {
  Machine m;
  m.apply({put("a", "1")});
  CHECK(m.apply({put("a", "1")}).revision == 2);
  CHECK(m.item("a").version == 2);
}

TEST_CASE("a delete and a new put start the key's life again") {
  Machine m;
  m.apply({put("a", "1")});
  m.apply({put("a", "2")});
  CommandResult r = m.apply({del("a")});
  CHECK(r.ops[0].count == 1);
  CHECK(r.revision == 3);
  CHECK_FALSE(m.has("a"));
  m.apply({put("a", "3")});
  CHECK(m.item("a") == Item{"a", "3", 4, 4, 1, 0, 1});
}

TEST_CASE("a delete of an absent key changes nothing, not even the revision") {
  Machine m;
  m.apply({put("a", "1")});
  CommandResult r = m.apply({del("b"), del(prefix("zz"))});
  CHECK(r.code == Code::kOk);
  CHECK(r.revision == 1);
  CHECK(r.ops[0].count == 0);
  CHECK(r.ops[1].count == 0);
}

TEST_CASE("a transaction without changes or operations succeeds at the same revision") {
  Machine m;
  m.apply({put("a", "1")});
  CHECK(m.apply({get("a")}).revision == 1);
  CommandResult r = m.apply(std::vector<Op>{});
  CHECK(r.succeeded);
  CHECK(r.revision == 1);
}

TEST_CASE("all changes of a transaction share one revision") {
  Machine m;
  CommandResult r = m.apply({put("a", "1"), put("b", "2"), del("a")});
  CHECK(r.revision == 1);
  CHECK_FALSE(m.has("a"));
  CHECK(m.item("b").mod_revision == 1);
}

TEST_CASE("operations see what earlier ones of the transaction did") {
  Machine m;
  m.apply({put("a", "old")});
  CommandResult r =
      m.apply({put("b", "new"), get("b"), del("a"), get("a"), get(all()), del(prefix("b"), kOpPrev),
               get(all(), kOpCountOnly), put("a", "again"), get(all())});
  REQUIRE(r.code == Code::kOk);
  CHECK(r.ops[1].items == std::vector<Item>{{"b", "new", 2, 2, 1, 0, 3}});
  CHECK(r.ops[3].items.empty());
  CHECK(r.ops[4].items == std::vector<Item>{{"b", "new", 2, 2, 1, 0, 3}});
  CHECK(r.ops[5].count == 1);
  CHECK(r.ops[5].items == std::vector<Item>{{"b", "new", 2, 2, 1, 0, 3}});
  CHECK(r.ops[6].count == 0);
  CHECK(r.ops[8].items == std::vector<Item>{{"a", "again", 2, 2, 1, 0, 5}});
  CHECK(m.item("a") == Item{"a", "again", 2, 2, 1, 0, 5});
}

TEST_CASE("transactions of one batch see each other") {
  Machine m;
  auto r = m.apply(std::vector<Command>{
      txn({put("k1", "a")}), txn({put("k1", "b"), put("k2", "c")}), txn({get(prefix("k"))}),
      txn({del(prefix("k"))}), txn({put("k1", "d")}), txn({get("k1"), get("k2")})});
  CHECK(r[2].ops[0].items ==
        std::vector<Item>{{"k1", "b", 1, 2, 2, 0, 1}, {"k2", "c", 2, 2, 1, 0, 1}});
  CHECK(r[3].ops[0].count == 2);
  CHECK(r[5].ops[0].items == std::vector<Item>{{"k1", "d", 4, 4, 1, 0, 1}});
  CHECK(r[5].ops[1].items.empty());
  CHECK(m.machine->revision() == 4);
}

TEST_CASE("a batch of single keys is one read and one write of the store") {
  Machine m;
  m.store.write_marks.clear();
  m.store.get_many_calls = 0;
  std::vector<Command> batch;
  for (int i = 0; i < 64; i++) batch.push_back(txn({put("key" + std::to_string(i % 40), "v")}));
  m.apply(batch);
  CHECK(m.store.write_marks == std::vector<uint64_t>{64});
  CHECK(m.store.get_many_calls == 1);
  CHECK(m.item("key3").version == 2);
}

TEST_CASE("what precedes a range is written with the mark of its own entry") {
  Machine m;
  m.store.write_marks.clear();
  m.apply(std::vector<Command>{txn({put("a", "1")}), txn({put("b", "1")}), txn({get(all())}),
                               txn({put("c", "1")})});
  CHECK(m.store.write_marks == std::vector<uint64_t>{2, 4});
}

TEST_CASE("a transaction with ranges and changes is one write") {
  Machine m;
  m.apply({put("a", "1"), put("b", "1")});
  m.store.write_marks.clear();
  m.apply({put("c", "1"), del(from("b")), put("d", "1"), get(all())});
  CHECK(m.store.write_marks == std::vector<uint64_t>{2});
}

TEST_CASE("kOpPrev delivers what a put or a delete replaced") {
  Machine m;
  m.apply({put("a", "1")});
  CommandResult r = m.apply({put("a", "2", kOpPrev), put("b", "1", kOpPrev)});
  CHECK(r.ops[0].items == std::vector<Item>{{"a", "1", 1, 1, 1, 0, 1}});
  CHECK(r.ops[0].flags == kOpPrev);
  CHECK(r.ops[1].items.empty());
  r = m.apply({del("a", kOpPrev), del(prefix("b"), kOpPrev | kOpKeysOnly)});
  CHECK(r.ops[0].items == std::vector<Item>{{"a", "2", 1, 2, 2, 0, 1}});
  CHECK(r.ops[1].items == std::vector<Item>{{"b", "", 2, 2, 1, 0, 1}});
}

TEST_CASE("gets deliver ranges in either order, within a limit, or only their count") {
  Machine m;
  m.apply({put("a", "1"), put("b", "2"), put("c", "3"), put("d", "4")});
  auto keys = [](const OpResult& r) {
    std::string joined;
    for (const Item& item : r.items) joined += item.key;
    return joined;
  };
  CommandResult r = m.apply({get(until("b", "d")), get(from("b"), 0, 2), get(all(), kOpReverse, 3),
                             get(all(), kOpKeysOnly), get(all(), kOpCountOnly, 2), get("zz"),
                             get(until("d", "b")), get(from("c"), 0, 2)});
  CHECK(keys(r.ops[0]) == "bc");
  CHECK_FALSE(r.ops[0].more);
  CHECK(keys(r.ops[1]) == "bc");
  CHECK(r.ops[1].more);
  CHECK(r.ops[1].count == 2);
  CHECK(keys(r.ops[2]) == "dcb");
  CHECK(r.ops[2].more);
  CHECK(keys(r.ops[3]) == "abcd");
  CHECK(r.ops[3].items[0] == Item{"a", "", 1, 1, 1, 0, 1});
  CHECK(r.ops[4].items.empty());
  CHECK(r.ops[4].count == 4);
  CHECK_FALSE(r.ops[4].more);
  CHECK(r.ops[5].count == 0);
  CHECK(r.ops[6].count == 0);
  CHECK(keys(r.ops[7]) == "cd");
  CHECK_FALSE(r.ops[7].more);
}

TEST_CASE("a reverse range interleaves stored keys with changed ones") {
  Machine m;
  m.apply({put("b", "1"), put("d", "1"), put("f", "1")});
  CommandResult r = m.apply({put("a", "2"), put("c", "2"), put("d", "2"), put("g", "2"), del("f"),
                             get(all(), kOpReverse | kOpKeysOnly)});
  std::string joined;
  for (const Item& item : r.ops[5].items) joined += item.key + std::to_string(item.mod_revision);
  CHECK(joined == "g2d2c2b1a2");
}

TEST_CASE("the else branch runs when a compare fails, and that is no error") {
  Machine m;
  m.apply({put("a", "1")});
  auto version = Compare::Target::kVersion;
  CommandResult r = m.apply(txn({compare(version, Compare::Op::kEq, key_range("a"), 0)},
                                {put("a", "2")}, {get("a"), put("b", "else")}));
  CHECK(r.code == Code::kOk);
  CHECK_FALSE(r.succeeded);
  CHECK(r.revision == 2);
  CHECK(r.ops[0].items[0].value == "1");
  CHECK(m.item("b").value == "else");
  CHECK(m.item("a").value == "1");
}

TEST_CASE("results above the bound fail the transaction without any effect") {
  Machine m;
  std::string big(kPartBytes, 'x');
  m.apply({put("a", big), put("b", big), put("c", big), put("d", big), put("e", "small")});
  MemoryData before = m.store.data();
  CommandResult r = m.apply({del("e"), put("f", "1"), del(prefix("d")), get(all(), kOpKeysOnly),
                             del(until("a", "d"), kOpPrev), put("b", "1"), get("b"), put("g", big),
                             get("g"), get("g")});
  CHECK(r.code == Code::kInvalid);
  CHECK(r.message == "the results would take more than 4194304 bytes");
  CHECK(r.ops.empty());
  CHECK_FALSE(r.succeeded);
  CHECK(r.revision == 1);
  CHECK(m.store.data().contents() == before.contents());
  auto rest = m.apply(std::vector<Command>{txn({put("x", "1"), get(all())}),
                                           txn({get("x"), get("e")}), txn({put("e", "2")})});
  CHECK(rest[0].code == Code::kInvalid);
  CHECK(rest[1].ops[0].count == 0);
  CHECK(rest[1].ops[1].count == 1);
  CHECK(rest[2].revision == 2);
  CHECK(m.item("e").version == 2);
}

TEST_CASE("the ranges of a transaction look at a bounded number of keys") {
  Machine m;
  constexpr uint64_t kFirst = kTxnVisitsMax - 10;
  for (uint64_t i = 0; i < kTxnVisitsMax;) {
    std::vector<Op> puts;
    for (uint64_t n = 0; n < 1000; n++, i++)
      puts.push_back(put((i < kFirst ? "a" : "b") + std::to_string(i), ""));
    m.apply(std::move(puts));
  }
  const auto count = [](Range range) { return get(std::move(range), kOpCountOnly); };
  CHECK(m.apply({count(all())}).ops[0].count == kTxnVisitsMax);
  CHECK(m.apply({count(prefix("a")), count(prefix("b"))}).ops[1].count == 10);
  const uint64_t revision = m.machine->revision();
  const auto exists = compare(Compare::Target::kVersion, Compare::Op::kGt, prefix("b"), 0);
  const std::vector<Txn> above = {
      txn({put("c", "1"), count(all())}),
      txn({count(prefix("b")), put("c", "1"), count(all())}),
      txn({exists}, {put("c", "1"), count(prefix("a")), count(prefix("b"))}),
      txn({get(prefix("b"), kOpKeysOnly), del("a1"), count(prefix("a")), get(prefix("b"), 0, 1)}),
      txn({del(prefix("b")), count(prefix("a")), count(prefix("b"))}),
  };
  for (const Txn& txn : above) {
    const CommandResult r = m.apply(txn);
    CHECK(r.code == Code::kInvalid);
    CHECK(r.message.find("100000 keys") != std::string::npos);
    CHECK(r.revision == revision);
  }
  CHECK_FALSE(m.has("c"));
  CHECK(m.has("a1"));
  // A compare that fails early looks no further, and a limit ends a range.
  const auto absent = compare(Compare::Target::kVersion, Compare::Op::kEq, all(), 0);
  CHECK_FALSE(m.apply(txn({absent}, {count(all())}, {count(prefix("b"))})).succeeded);
  CHECK(m.apply({get(all(), kOpKeysOnly, 5), count(prefix("a"))}).code == Code::kOk);
}

TEST_CASE("a rolled back transaction leaves no trace for the rest of its batch") {
  Machine m;
  std::string big(kPartBytes, 'x');
  m.apply({put("big1", big), put("big2", big), put("big3", big), put("big4", big), put("a", "1")});
  auto r = m.apply(std::vector<Command>{
      txn({del("a"), put("a", "new"), put("b", "new"), get(prefix("big"))}),
      txn({get("a"), get("b")}), txn({put("a", "2", kOpPrev)}),
      txn({put("a", "3"), put("c", "3"), get(prefix("big"))}), txn({put("a", "4"), get("c")})});
  CHECK(r[0].code == Code::kInvalid);
  CHECK(r[1].ops[0].items == std::vector<Item>{{"a", "1", 1, 1, 1, 0, 1}});
  CHECK(r[1].ops[1].count == 0);
  CHECK(r[2].ops[0].items == std::vector<Item>{{"a", "1", 1, 1, 1, 0, 1}});
  CHECK(r[3].code == Code::kInvalid);
  CHECK(r[4].ops[1].count == 0);
  CHECK(m.item("a") == Item{"a", "4", 1, 3, 3, 0, 1});
}

TEST_CASE("malformed transactions are refused by name") {
  Machine m;
  auto message = [&m](Txn bad) {
    CommandResult r = m.apply(std::move(bad));
    CHECK(r.code == Code::kInvalid);
    CHECK(r.revision == 0);
    return r.message;
  };
  CHECK(message(txn({put("a", "1"), put("b", "1"), put("a", "2")})) == "then: a key is put twice");
  CHECK(message(txn({}, {}, {put("a", "1"), put("a", "1")})) == "else: a key is put twice");
  CHECK(message(txn({put("", "1")})) == "then[0]: the key is empty");
  CHECK(message(txn({get("a"), del("")})) == "then[1]: the key is empty");
  CHECK(message(txn({get(until("a", ""))})) == "then[0]: the range has no end");
  CHECK(message(txn({put(std::string(kKeyBytesMax + 1, 'k'), "")})) ==
        "then[0]: a key is longer than 65536 bytes");
  CHECK(message(txn({put("a", std::string(kPartBytes + 1, 'v'))})) ==
        "then[0]: a value above 1048576 bytes must be uploaded in parts");
  CHECK(message(txn({put("a", "", kOpReverse)})) == "then[0]: flags 0x8 do not fit this operation");
  Op range_put = put("a", "1");
  range_put.range = prefix("a");
  CHECK(message(txn({range_put})) == "then[0]: a put takes a single key");
  Op both = put_upload("a", 7, 10);
  both.value = "inline";
  CHECK(message(txn({both})) == "then[0]: a put takes either a value or an upload");
  Op stray = get("a");
  stray.upload_id = 3;
  CHECK(message(txn({stray})) == "then[0]: only a put takes an upload");
  CHECK(message(txn({put_upload("a", 0, 5)})) == "then[0]: upload_bytes without an upload");
  CHECK(message(txn({}, {put_upload("a", 7, 1)}, {put_upload("a", 7, 1)})) ==
        "an upload is named twice");
  Compare empty_key = compare(Compare::Target::kVersion, Compare::Op::kEq, key_range(""), 0);
  CHECK(message(txn({empty_key}, {})) == "compares[0]: the key is empty");
  CHECK(m.machine->revision() == 0);
}

TEST_CASE("a key put in both branches is no repetition") {
  Machine m;
  auto version = Compare::Target::kVersion;
  CommandResult r = m.apply(txn({compare(version, Compare::Op::kEq, key_range("a"), 0)},
                                {put("a", "then")}, {put("a", "else")}));
  CHECK(r.code == Code::kOk);
  CHECK(m.item("a").value == "then");
}

TEST_CASE("the longest key and the largest inline value are taken") {
  Machine m;
  std::string key(kKeyBytesMax, '\xff');
  CHECK(m.apply({put(key, std::string(kPartBytes, '\0'))}).code == Code::kOk);
  CHECK(m.item(key).value_bytes == kPartBytes);
}

}  // namespace kvstore::kv::test
