// Goal: what a change replaces can be read and told until it is compacted, and takes a bounded time
// and memory.
// Method: one case per rule, looking at the bytes in the store, at reads of old revisions and at
// the changes; the random logs of model_test.cpp compare all of it with a model.
#include "kv/history.hpp"

#include <algorithm>

#include "kv/batch.hpp"
#include "kv/change_reader.hpp"
#include "kv/reader.hpp"
#include "kv_testing.hpp"

namespace kvstore::kv::test {
namespace {

std::string value_at(Machine& m, const std::string& key, uint64_t revision) {
  auto view = m.store.open_view();
  auto at = resolve_revision(*read_revisions(**view), revision);
  if (!at) return std::string(code_name(at.status().code()));
  std::string value;
  Status s = read_item(**view, *at, key, [&](const ItemView& item) {
    value = item.value;
    return true;
  });
  return s.is_ok() ? value : std::string(code_name(s.code()));
}

// "+key=value(before)" and "-key(before)" with the revision, one after another.
std::string changes(Machine& m, uint64_t from, const Range& range = all()) {
  auto view = m.store.open_view();
  ChangeOptions options;
  options.range = range;
  options.with_prev = true;
  std::string out;
  auto result = read_changes(**view, {from, 0}, options, [&](const ChangeView& c) {
    out += std::to_string(c.revision) + (c.kind == ChangeView::Kind::kPut ? "+" : "-") +
           std::string(c.now.key);
    if (c.kind == ChangeView::Kind::kPut) out += "=" + std::string(c.now.value);
    if (c.prev != nullptr) out += "(" + std::string(c.prev->value) + ")";
    out += c.more_of_revision ? "," : " ";
    return true;
  });
  if (!result) return result.status().message();
  return out;
}

std::vector<std::string> awkward_keys() {
  std::vector<std::string> keys;
  for (const std::string& a : {std::string(), std::string("\0", 1), std::string("\1"),
                               std::string("a"), std::string("\xfe"), std::string("\xff")}) {
    for (const std::string& b :
         {std::string("\0", 1), std::string("\1"), std::string("b"), std::string("\0\0", 2),
          std::string("\0\xff", 2), std::string("\xff\xff")})
      keys.push_back(a + b);
  }
  return keys;
}

}  // namespace

TEST_CASE("keys of old versions sort by key and revision, and come back") {
  std::vector<std::pair<std::string, uint64_t>> versions;
  for (const std::string& key : awkward_keys()) {
    for (uint64_t s : {uint64_t{1}, uint64_t{255}, uint64_t{256}, UINT64_MAX})
      versions.emplace_back(key, s);
  }
  std::sort(versions.begin(), versions.end());
  versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
  std::string last;
  for (const auto& [key, s] : versions) {
    const std::string encoded = history_key(key, s);
    CHECK(last < encoded);
    CHECK(history_begin(key) < encoded);
    CHECK(encoded < history_end(key));
    CHECK(history_prefix(encoded) == history_begin(key));
    auto parsed = parse_history_key(encoded);
    REQUIRE(parsed);
    CHECK(parsed->key == key);
    CHECK(parsed->superseded == s);
    last = encoded;
  }
}

TEST_CASE("bounds of keys are bounds of their old versions") {
  const std::vector<std::string> keys = awkward_keys();
  for (const std::string& bound : keys) {
    for (const std::string& key : keys)
      CHECK((key < bound) == (history_key(key, UINT64_MAX) < history_begin(bound)));
  }
}

TEST_CASE("damaged keys and changes of the history are refused") {
  const std::string good = history_key(std::string("a\0b", 3), 7);
  for (size_t size = 0; size < good.size(); size++)
    CHECK(parse_history_key(Bytes(good).substr(0, size)).status().code() == Code::kCorrupt);
  CHECK_FALSE(parse_history_key(good + "x"));
  CHECK_FALSE(parse_history_key(history_key("", 7)));
  CHECK_FALSE(parse_history_key(history_key("a", 0)));
  CHECK_FALSE(parse_history_key(std::string("a\0\1", 3) + std::string(8, 'x')));
  CHECK_FALSE(parse_change_key(change_key({0, 1})));
  CHECK_FALSE(parse_change_key(change_key({1, 1}) + "x"));
  CHECK(*parse_change_key(change_key({9, 8})) == ChangePosition{9, 8});

  Change change;
  change.key = "k";
  change.had_before = true;
  change.before_bytes = 300;
  change.before_upload = 77;
  const std::string bytes = encode_change(change);
  auto back = decode_change(bytes);
  REQUIRE(back);
  CHECK(encode_change(*back) == bytes);
  CHECK(back->before_upload == 77);
  CHECK_FALSE(back->has_after);
  for (size_t size = 0; size < bytes.size(); size++)
    CHECK_FALSE(decode_change(Bytes(bytes).substr(0, size)));
  for (const std::string& bad :
       {std::string("\2\2k", 3), std::string("\1\0k", 3), std::string("\1\x0ak", 3),
        std::string("\1\6\1\1\1\1\1\1\1\1k", 11)})
    CHECK(decode_change(bad).status().code() == Code::kCorrupt);
}

TEST_CASE("a creation stores a change, an overwrite and a delete also the old version") {
  Machine m;
  m.apply({put("a", "1")});
  CHECK(m.space_size(kSpaceChanges) == 1);
  CHECK(m.space_size(kSpaceHistory) == 0);
  m.apply({put("a", "2")});
  CHECK(m.space_size(kSpaceHistory) == 1);
  m.apply({del("a")});
  CHECK(m.space_size(kSpaceHistory) == 2);
  CHECK(m.space_size(kSpaceUser) == 0);
  m.apply({put("a", "4")});
  CHECK(m.space_size(kSpaceHistory) == 2);
  CHECK(value_at(m, "a", 1) == "1");
  CHECK(value_at(m, "a", 2) == "2");
  CHECK(value_at(m, "a", 3) == "not_found");
  CHECK(value_at(m, "a", 4) == "4");
  CHECK(value_at(m, "a", 0) == "4");
  CHECK(value_at(m, "a", 5) == "invalid");
  CHECK(changes(m, 1) == "1+a=1 2+a=2(1) 3-a(2) 4+a=4 ");
  CHECK(changes(m, 5).empty());
  CHECK(changes(m, 99).empty());
}

TEST_CASE("a key changed several times in a transaction changed once") {
  Machine m;
  m.apply({put("a", "1"), put("b", "1")});
  m.apply({put("a", "2"), del("a"), put("c", "new"), del(prefix("b")), del("b")});
  m.apply({del("a"), del(all()), put("c", "3"), put("b", "3")});
  CHECK(changes(m, 1) == "1+a=1,1+b=1 2-a(1),2+c=new,2-b(1) 3+c=3(new),3+b=3 ");
  CHECK(value_at(m, "b", 1) == "1");
  CHECK(value_at(m, "b", 2) == "not_found");
}

TEST_CASE("a key that comes and goes within a transaction leaves nothing") {
  Machine m;
  CommandResult r = m.apply({put("a", "1"), del("a")});
  CHECK(r.revision == 1);
  CHECK(m.space_size(kSpaceChanges) == 0);
  CHECK(m.space_size(kSpaceHistory) == 0);
  CHECK(m.machine->history_bytes() == 0);
}

TEST_CASE("a refused transaction leaves no history") {
  Machine m;
  std::string big(kPartBytes, 'x');
  m.apply({put("v1", big), put("v2", big), put("v3", big), put("v4", big)});
  MemoryData before = m.store.data();
  CHECK(m.apply({put("v1", "1"), del(prefix("v2")), put("v2", "2"), get(all()), get("v3"),
                 get("v4"), get("v3"), get("v4")})
            .code == Code::kInvalid);
  CHECK((m.store.data().contents() == before.contents()));
  auto r = m.apply(std::vector<Command>{
      txn({put("v1", "1"), get("v2"), get("v2"), get("v3"), get("v4"), get("v4")}),
      txn({put("v1", "2", kOpPrev)})});
  CHECK(r[0].code == Code::kInvalid);
  CHECK((r[1].ops[0].items[0].value == big));
  CHECK((value_at(m, "v1", 1) == big));
}

TEST_CASE("ranges of old revisions merge what is and what was") {
  Machine m;
  m.apply({put("a", "1"), put("c", "1"), put("e", "1")});  // 1
  m.apply({put("b", "2"), del("c")});                      // 2
  m.apply({put("e", "3"), put("a", "3")});                 // 3
  m.apply({del(all())});                                   // 4
  m.apply({put("d", "5")});                                // 5
  auto read = [&](uint64_t at, const Range& range, uint32_t flags) {
    auto view = m.store.open_view();
    std::string out;
    auto result = scan_items(**view, at, range, flags, 0, UINT64_MAX, [&](const ItemView& item) {
      out += std::string(item.key) + std::string(item.value);
      return true;
    });
    REQUIRE(result);
    return out + std::to_string(result->count);
  };
  CHECK(read(1, all(), 0) == "a1c1e13");
  CHECK(read(1, all(), kOpReverse) == "e1c1a13");
  CHECK(read(2, all(), 0) == "a1b2e13");
  CHECK(read(3, all(), 0) == "a3b2e33");
  CHECK(read(3, until("a", "e"), kOpReverse) == "b2a32");
  CHECK(read(3, from("b"), kOpCountOnly) == "2");
  CHECK(read(4, all(), 0) == "0");
  CHECK(read(0, all(), 0) == "d51");
  CHECK(changes(m, 2, from("c")) == "2-c(1) 3+e=3(1) 4-e(3) 5+d=5 ");
}

TEST_CASE("a key with many versions is stepped over in both directions") {
  Machine m;
  m.apply({put("a", "1"), put("m", "0"), put("z", "1")});
  for (int i = 1; i <= 50; i++) m.apply({put("m", std::to_string(i))});
  m.apply({del("z")});
  auto view = m.store.open_view();
  for (uint32_t flags : {0u, kOpReverse}) {
    std::string out;
    auto result = scan_items(**view, 30, all(), flags, 0, UINT64_MAX, [&](const ItemView& item) {
      out += std::string(item.key) + std::string(item.value) + " ";
      return true;
    });
    REQUIRE(result);
    CHECK(out == (flags == 0 ? "a1 m29 z1 " : "z1 m29 a1 "));
  }
}

TEST_CASE("a delete of a range stops at its limit") {
  Machine m;
  m.apply({put("a", "1"), put("b", "1"), put("c", "1"), put("d", "1")});
  Op limited = del(from("b"));
  limited.limit = 2;
  CommandResult r = m.apply({limited, get("d")});
  CHECK(r.ops[0].count == 2);
  CHECK(r.ops[0].more);
  CHECK(r.ops[1].count == 1);
  r = m.apply({limited});
  CHECK(r.ops[0].count == 1);
  CHECK_FALSE(r.ops[0].more);
  CHECK(changes(m, 2) == "2-b(1),2-c(1) 3-d(1) ");
}

TEST_CASE("a transaction above the bound of changed keys is refused whole") {
  Machine m;
  std::vector<Command> fill;
  for (uint64_t i = 0; i <= kTxnChangesMax; i++) fill.push_back(txn({put(std::to_string(i), "")}));
  m.apply(fill);
  CommandResult r = m.apply({put("new", ""), del(all())});
  CHECK(r.code == Code::kInvalid);
  CHECK(r.message ==
        "the transaction would change more than 10000 keys: delete a range piece by piece (limit)");
  CHECK(m.space_size(kSpaceUser) == kTxnChangesMax + 1);
  Op limited = del(all());
  limited.limit = kTxnChangesMax;
  r = m.apply({limited});
  CHECK(r.code == Code::kOk);
  CHECK(r.ops[0].count == kTxnChangesMax);
  CHECK(m.space_size(kSpaceUser) == 1);
}

TEST_CASE("a deleted range with too many bytes is refused whole") {
  Machine m;
  const uint64_t keys = kTxnHistoryBytesMax / kPartBytes;
  for (uint64_t i = 0; i < keys; i++)
    m.apply({put("k" + std::to_string(i), std::string(kPartBytes, 'v'))});
  CommandResult r = m.apply({del(all())});
  CHECK(r.code == Code::kInvalid);
  CHECK(r.message.find("67108864 bytes") != std::string::npos);
  CHECK(m.space_size(kSpaceUser) == keys);
  m.apply({del("k0")});
  CHECK(m.apply({del(all())}).code == Code::kOk);
}

TEST_CASE("large old values are read again when a batch is full of them") {
  constexpr uint64_t kKeys = 2 * kKeptBytesMax / kPartBytes;
  Machine m;
  std::vector<Command> overwrite;
  m.apply({put("big", std::string(kPartBytes, 'x'))});
  for (uint64_t i = 0; i < kKeys; i++) {
    m.apply(
        {put("k" + std::to_string(i), std::string(kPartBytes, static_cast<char>('a' + i % 26)))});
    std::string key = "k" + std::to_string(i);
    // Refused by the size of its result, when it had already replaced the value.
    overwrite.push_back(
        txn({put(key, "2"), get("big"), get("big"), get("big"), get("big"), get("big")}));
    overwrite.push_back(txn({compare_value(Compare::Op::kGt, key_range(key), "")},
                            {get(key), put(key, "1", kOpPrev)}));
  }
  m.store.write_marks.clear();
  auto results = m.apply(overwrite);
  CHECK(m.store.write_marks.size() > 1);
  for (uint64_t i = 0; i < kKeys; i++) {
    const std::string old(kPartBytes, static_cast<char>('a' + i % 26));
    CHECK(results[2 * i].code == Code::kInvalid);
    const CommandResult& done = results[2 * i + 1];
    REQUIRE(done.code == Code::kOk);
    CHECK(done.succeeded);
    CHECK((done.ops[0].items[0].value == old));
    CHECK((done.ops[1].items[0].value == old));
    CHECK((value_at(m, "k" + std::to_string(i), kKeys + 1) == old));
  }
}

TEST_CASE("a compaction removes what was superseded up to its revision") {
  Machine m;
  m.apply({put("a", "1"), put("b", "1")});
  m.apply({put("a", "2")});
  m.apply({del("b")});
  m.apply({put("a", "4")});
  CommandResult r = m.apply(Compact{3, 100});
  CHECK(r.code == Code::kOk);
  CHECK(r.ops[0].count == 4);
  CHECK_FALSE(r.ops[0].more);
  CHECK(r.revision == 4);
  CHECK(m.machine->compacted_revision() == 3);
  CHECK(m.machine->oldest_change() == 4);
  CHECK(value_at(m, "a", 2) == "compacted");
  CHECK(value_at(m, "a", 3) == "2");
  CHECK(value_at(m, "b", 3) == "not_found");
  CHECK(value_at(m, "a", 4) == "4");
  CHECK(changes(m, 4) == "4+a=4(2) ");
  CHECK(changes(m, 3) ==
        "the changes of revision 3 are compacted: the oldest are those of revision 4");
  auto view = m.store.open_view();
  CHECK(resolve_revision(*read_revisions(**view), 2).status().message() ==
        "revision 2 is compacted: the oldest is 3");
  m.apply(Compact{4, 100});
  CHECK(m.space_size(kSpaceHistory) == 0);
  CHECK(m.space_size(kSpaceChanges) == 0);
  CHECK(m.machine->history_bytes() == 0);
  CHECK(value_at(m, "a", 4) == "4");
  m.reopen();
  CHECK(m.machine->compacted_revision() == 4);
  CHECK(m.machine->oldest_change() == 5);
}

TEST_CASE("a compaction removes a bounded number of changes at a time") {
  Machine m;
  for (int i = 0; i < 5; i++) m.apply({put("a", "v"), put("b", "v")});
  CommandResult r = m.apply(Compact{4, 3});
  CHECK(r.ops[0].count == 3);
  CHECK(r.ops[0].more);
  CHECK(m.machine->compacted_revision() == 4);
  CHECK(m.machine->oldest_change() == 2);
  CHECK(m.space_size(kSpaceChanges) == 7);
  CHECK(value_at(m, "a", 3) == "compacted");
  r = m.apply(Compact{1, 100});  // an older revision goes on with what is left
  CHECK(r.ops[0].count == 5);
  CHECK_FALSE(r.ops[0].more);
  CHECK(m.machine->compacted_revision() == 4);
  CHECK(m.space_size(kSpaceChanges) == 2);
  r = m.apply(Compact{4, 100});
  CHECK(r.ops[0].count == 0);
}

TEST_CASE("a compaction of long keys removes fewer changes") {
  Machine m;
  for (int i = 0; i < 130; i++) m.apply({put(std::string(kKeyBytesMax, 'k'), "v")});
  CommandResult r = m.apply(Compact{130, 1000});
  CHECK(r.ops[0].count == 64);
  CHECK(r.ops[0].more);
}

TEST_CASE("a compaction outside its bounds changes nothing") {
  Machine m;
  m.apply({put("a", "1")});
  CommandResult r = m.apply(Compact{2, 1});
  CHECK(r.code == Code::kInvalid);
  CHECK(r.message == "revision 2 is in the future: the newest one is 1");
  CHECK(m.apply(Compact{1, 0}).code == Code::kInvalid);
  CHECK(m.apply(Compact{1, kCompactChangesMax + 1}).code == Code::kInvalid);
  CHECK(m.machine->compacted_revision() == 0);
  CHECK(m.space_size(kSpaceChanges) == 1);
}

TEST_CASE("a compaction in a batch sees the entries before it") {
  Machine m;
  auto r = m.apply(std::vector<Command>{txn({put("a", "1")}), txn({put("a", "2")}), Compact{2, 10},
                                        txn({put("a", "3")})});
  CHECK(r[2].ops[0].count == 2);
  CHECK(changes(m, 3) == "3+a=3(2) ");
  CHECK(value_at(m, "a", 2) == "2");
}

}  // namespace kvstore::kv::test
