// Goal: a request under an id takes effect once, its repetitions get the first answer, another
// request under the id is refused, and what is kept for this stays within its bounds.
// Method: one case per rule; machines are opened again and their stores replaced between a request
// and its repetition; limits are small but where the real ones are reached.
#include "kv/requests.hpp"

#include <algorithm>

#include "kv/fingerprint.hpp"
#include "kv_testing.hpp"

namespace kvstore::kv::test {
namespace {

// As the engine makes it; contents: of the uploads, one each.
Txn under_id(const std::string& id, Txn txn, const std::vector<Fingerprint>& contents = {},
             const std::string& principal = "") {
  const Fingerprint fingerprint = fingerprint_of(txn, contents);
  txn.request = RequestId{principal, id, fingerprint};
  return txn;
}

Txn put_once(const std::string& id, const std::string& key, const std::string& value) {
  return under_id(id, txn({put(key, value, kOpPrev), get(key)}));
}

CommandResult replay_of(CommandResult first) {
  first.replayed = true;
  return first;
}

size_t count_prefix(Machine& m, Bytes prefix) {
  MemoryData data = m.store.data();
  return static_cast<size_t>(
      std::count_if(data.spaces[kSpaceSystem].begin(), data.spaces[kSpaceSystem].end(),
                    [&](const auto& pair) { return pair.first.starts_with(prefix); }));
}

Fingerprint hash_of(const std::string& bytes) {
  ContentHash hash;
  hash.add(bytes);
  return hash.sum();
}

}  // namespace

TEST_CASE("a repetition has the first answer and no effect: in the batch, later, after a restart") {
  Machine m;
  m.apply({put("k", "before")});
  const Txn once = put_once("id", "k", "v");
  auto together = m.apply(std::vector<Command>{once, once, txn({put("other", "x")}), once});
  REQUIRE(together[0].code == Code::kOk);
  CHECK(together[0].revision == 2);
  CHECK_FALSE(together[0].replayed);
  CHECK(together[1] == replay_of(together[0]));
  CHECK(together[3] == replay_of(together[0]));
  CHECK(together[3].ops[0].items[0].value == "before");
  CHECK(together[3].ops[1].items[0].key == "k");
  CHECK(m.apply(once) == replay_of(together[0]));
  m.reopen();
  CHECK(m.apply(once) == replay_of(together[0]));
  CHECK(m.machine->revision() == 3);
  CHECK(m.item("k").version == 2);
  CHECK(m.machine->request_records() == 1);
}

TEST_CASE("a snapshot brings the answers with it") {
  Machine m, other;
  const Txn once = put_once("id", "k", "v");
  const CommandResult first = m.apply(once);
  other.apply({put("other", "x")});
  other.store.replace(m.store.data());
  REQUIRE(other.machine->reload().is_ok());
  CHECK(other.machine->request_records() == 1);
  other.index = 1;
  CHECK(other.apply(once) == replay_of(first));
}

TEST_CASE("another request under the id is refused, and has no effect") {
  Machine m;
  const CommandResult first = m.apply(put_once("id", "k", "v"));
  for (const Txn& other :
       {put_once("id", "k", "w"), put_once("id", "l", "v"),
        under_id("id", txn({put("k", "v"), get("k")})), under_id("id", txn({del("k")}))}) {
    const CommandResult r = m.apply(other);
    CHECK(r.code == Code::kConflict);
    CHECK(r.message == "the request id was used for another request");
    CHECK(r.revision == 1);
    CHECK_FALSE(r.replayed);
    CHECK(r.ops.empty());
  }
  CHECK(m.machine->revision() == 1);
  CHECK(m.apply(put_once("id", "k", "v")) == replay_of(first));
}

TEST_CASE("principals have their own ids, and neither runs into the other") {
  Machine m;
  const Txn write = txn({put("k", "v")});
  auto run = [&](const std::string& principal, const std::string& id) {
    return m.apply(under_id(id, write, {}, principal)).replayed;
  };
  CHECK_FALSE(run("", "ab"));
  CHECK_FALSE(run("a", "b"));
  CHECK_FALSE(run("ab", "ab"));
  CHECK(run("a", "b"));
  CHECK(m.machine->revision() == 3);
}

TEST_CASE("a failed condition is an answer: it stays the answer when the condition would hold") {
  Machine m;
  const Txn create =
      under_id("id", txn({compare(Compare::Target::kVersion, Compare::Op::kEq, key_range("k"), 0)},
                         {put("k", "mine")}, {get("k")}));
  m.apply({put("k", "theirs")});
  const CommandResult refused = m.apply(create);
  CHECK_FALSE(refused.succeeded);
  m.apply({del("k")});
  CHECK(m.apply(create) == replay_of(refused));
  CHECK_FALSE(m.has("k"));
}

TEST_CASE("what the machine refuses is not kept: the id is free for the next attempt") {
  Machine m;
  const Fingerprint content = hash_of("data");
  const Txn first = under_id("id", txn({put_upload("k", 5, 4)}), {content});
  CHECK(m.apply(first).code == Code::kNotFound);  // its upload was swept
  m.apply(UploadPart{6, 0, "data"});
  const Txn second = under_id("id", txn({put_upload("k", 6, 4)}), {content});
  CHECK(m.apply(second).code == Code::kOk);
  CHECK(m.apply(first).replayed);
  CHECK(m.item("k").version == 1);
  Txn no_id = txn({put("k", "v")});
  no_id.request = RequestId();
  CHECK(m.apply(no_id).code == Code::kInvalid);
  no_id.request->id = std::string(kRequestIdBytesMax + 1, 'x');
  CHECK(m.apply(no_id).code == Code::kInvalid);
  no_id.request->id = "x";
  no_id.request->principal = std::string(kPrincipalBytesMax + 1, 'x');
  CHECK(m.apply(no_id).code == Code::kInvalid);
  CHECK(m.machine->request_records() == 1);
}

TEST_CASE("the parts of a repeated or refused upload go") {
  Machine m;
  const Fingerprint content = hash_of("data"), other = hash_of("atad");
  m.apply(UploadPart{5, 0, "data"});
  const Txn once = under_id("id", txn({put_upload("k", 5, 4)}), {content});
  REQUIRE(m.apply(once).code == Code::kOk);
  // Each attempt uploads again, under an upload id of its own.
  m.apply(UploadPart{6, 0, "data"});
  CHECK(m.apply(under_id("id", txn({put_upload("k", 6, 4)}), {content})).replayed);
  m.apply(UploadPart{7, 0, "atad"});
  CHECK(m.apply(under_id("id", txn({put_upload("k", 7, 4)}), {other})).code == Code::kConflict);
  CHECK(m.machine->open_uploads() == 0);
  CHECK(m.stored_parts(5) == 1);
  CHECK(m.stored_parts(6) == 0);
  CHECK(m.stored_parts(7) == 0);
}

TEST_CASE("large results are kept without values, or without items, and say so") {
  Machine m;
  const std::string value(kRequestResultBytesMax, 'v');
  m.apply({put("k", value)});
  const Txn replace = put_once("replace", "k", "small");
  CHECK(m.apply(replace).ops[0].items[0].value == value);
  CommandResult again = m.apply(replace);
  CHECK(again.replayed);
  CHECK(again.shortened);
  CHECK(again.ops[0].items[0].key == "k");
  CHECK(again.ops[0].items[0].value.empty());
  CHECK(again.ops[0].items[0].value_bytes == value.size());
  CHECK(again.ops[1].items[0].mod_revision == 2);
  // The longest key of a single operation costs nothing.
  const std::string key(kKeyBytesMax, 'y');
  const Txn long_key = put_once("long", key, "small");
  m.apply(long_key);
  again = m.apply(long_key);
  CHECK_FALSE(again.shortened);
  CHECK((again.ops[1].items[0].key == key));

  const Txn list = under_id("list", txn({get(all(), kOpKeysOnly), del("absent")}));
  CHECK(m.apply(list).ops[0].items.size() == 2);
  again = m.apply(list);
  CHECK(again.shortened);
  CHECK(again.ops[0].items.empty());
  CHECK(again.ops[0].count == 2);
  CHECK(again.ops.size() == 2);
  const MemoryData data = m.store.data();
  for (const auto& [stored_key, record] : data.spaces.at(kSpaceSystem)) {
    if (stored_key.starts_with(kRequestPrefix)) CHECK(record.size() < kRequestResultBytesMax + 64);
  }
}

TEST_CASE("answers go by the time of the log, a few with each command, the newest never") {
  Machine m({.records_max = 1000, .keep_ms = 100});
  for (int i = 0; i < 10; i++) {
    m.time_ms = 1000 + static_cast<uint64_t>(i);
    m.apply(put_once("id" + std::to_string(i), "k", "v"));
  }
  m.time_ms = 1099;
  m.apply({put("k", "x")});
  CHECK(m.machine->request_records() == 10);
  m.time_ms = 1100;  // the first one's time is over; a transaction without an id removes it, too
  m.apply({put("k", "x")});
  CHECK(m.machine->request_records() == 9);
  CHECK_FALSE(m.apply(put_once("id0", "k", "v")).replayed);
  CHECK(m.apply(put_once("id1", "k", "v")).replayed);
  m.time_ms = 5000;
  m.apply(Checkpoint{});
  CHECK(m.machine->request_records() == 10 - kRequestsRemovedMax);
  m.reopen();
  for (int i = 0; i < 10; i++) m.apply(Checkpoint{});
  CHECK(m.machine->request_records() == 1);
  CHECK(m.apply(put_once("id0", "k", "v")).replayed);
  m.time_ms = 100;  // an older time counts as the newest
  m.apply(put_once("new", "k", "v"));
  CHECK(m.machine->request_records() == 2);
  m.apply(Checkpoint{});
  CHECK(count_prefix(m, kRequestPrefix) == 1);
}

TEST_CASE("all within one batch: answers come and go as one by one") {
  Machine together({.records_max = 3, .keep_ms = 50}), single({.records_max = 3, .keep_ms = 50});
  std::vector<std::string> encoded;
  std::vector<LogEntry> entries;
  for (uint64_t i = 0; i < 300; i++) {
    encoded.push_back(encode_command(put_once("id" + std::to_string(i % 7), "k", "v")));
    stamp_time(&encoded.back(), 1000 + i * (i % 50 == 49 ? 10 : 5));
  }
  for (const std::string& bytes : encoded)
    entries.push_back({1, entries.size() + 1, LogEntry::Kind::kCommand, bytes});
  std::vector<CommandResult> results, one;
  REQUIRE(together.machine->apply(entries, &results).is_ok());
  for (size_t i = 0; i < entries.size(); i++) {
    REQUIRE(single.machine->apply({&entries[i], 1}, &one).is_ok());
    CHECK(one[0] == results[i]);
  }
  CHECK((together.store.data().contents() == single.store.data().contents()));
  CHECK(together.machine->request_records() <= 3);
}

TEST_CASE("at most 100,000 answers are kept") {
  constexpr uint64_t kMax = 100'000, kBatch = 1000;
  Machine m;
  auto id = [](uint64_t n) { return "id" + std::to_string(n); };
  for (uint64_t n = 0; n < kMax + kBatch; n += kBatch) {
    std::vector<Command> commands;
    for (uint64_t i = 0; i < kBatch; i++) commands.push_back(put_once(id(n + i), "k", "v"));
    m.apply(commands);
    if (n == kMax - kBatch) CHECK(m.apply(put_once(id(0), "k", "v")).replayed);
  }
  CHECK(m.machine->request_records() == kMax);
  CHECK(count_prefix(m, kRequestPrefix) == kMax);
  CHECK(m.apply(put_once(id(kBatch), "k", "v")).replayed);
  CHECK_FALSE(m.apply(put_once(id(kBatch - 1), "k", "v")).replayed);
}

TEST_CASE("damaged records of requests stop the machine") {
  const Txn once = put_once("id", "k", "v");
  // With one of the three records replaced, or removed.
  auto stopped = [&](uint64_t number, const std::string& value) {
    Machine m({.records_max = 3, .keep_ms = 1000});
    for (const char* id : {"id", "id2", "id3"}) m.apply(put_once(id, "k", "v"));
    MemoryData data = m.store.data();
    data.spaces[kSpaceSystem].erase(request_key(number));
    if (!value.empty()) data.spaces[kSpaceSystem][request_key(number)] = value;
    m.store.replace(data);
    if (Status s = m.machine->reload(); !s) return s.code();
    std::vector<CommandResult> results;
    return m.try_apply({once, put_once("id4", "k", "v")}, &results).code();
  };
  auto record = [&](const Fingerprint& fingerprint, Bytes id, Bytes result) {
    return encode_request({1000, fingerprint, "", id, result});
  };
  const Fingerprint same = once.request->fingerprint;
  CHECK(stopped(1, record({}, "id", "x")) == Code::kOk);  // a mismatch
  CHECK(stopped(1, record(same, "id", "x")) == Code::kCorrupt);
  CHECK(stopped(1, "x") == Code::kCorrupt);
  CHECK(stopped(2, "") == Code::kCorrupt);  // a gap
  CHECK(stopped(3, "") == Code::kOk);       // then there are only two
  CHECK(stopped(UINT64_MAX, "x") == Code::kCorrupt);
}

TEST_CASE("fingerprints: everything that is asked counts, and nothing of the attempt") {
  const std::vector<Fingerprint> none, one = {hash_of("data")}, other = {hash_of("datb")};
  const Txn base = txn({put("k", "v")});
  CHECK(fingerprint_of(base, none) == fingerprint_of(under_id("id", base), none));
  CHECK(fingerprint_of(base, none) == fingerprint_of(txn({put("k", "v")}), none));
  for (const Txn& different :
       {txn({put("k", "w")}), txn({put("l", "v")}), txn({put("k", "v", kOpPrev)}),
        txn({put("k", "v"), get("k")}), txn({}, {}, {put("k", "v")}),
        txn({compare(Compare::Target::kVersion, Compare::Op::kGt, key_range("k"), 0)},
            {put("k", "v")})})
    CHECK(fingerprint_of(base, none) != fingerprint_of(different, none));
  CHECK(fingerprint_of(txn({put_upload("k", 5, 4)}), one) ==
        fingerprint_of(txn({put_upload("k", 6, 4)}), one));
  CHECK(fingerprint_of(txn({put_upload("k", 5, 4)}), one) !=
        fingerprint_of(txn({put_upload("k", 5, 4)}), other));
  const std::vector<Fingerprint> both = {one[0], other[0]}, swapped = {other[0], one[0]};
  const Txn two = txn({put_upload("a", 5, 4), put_upload("b", 6, 4)});
  CHECK(fingerprint_of(two, both) != fingerprint_of(two, swapped));

  ContentHash pieces;
  const std::string bytes(3'000'000, 'x');
  for (size_t at = 0; at < bytes.size(); at += 700'001)
    pieces.add(Bytes(bytes).substr(at, 700'001));
  CHECK(pieces.sum() == hash_of(bytes));
}

}  // namespace kvstore::kv::test
