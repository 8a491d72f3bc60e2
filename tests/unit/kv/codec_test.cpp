// Goal: commands, results and stored records survive their encoding, and no damaged bytes are taken
// for something they are not.
// Method: round trips; every truncation and every flipped bit of samples (never a crash, and what
// is accepted must encode to the very same bytes again); named cases for each refusal.
#include "base/codec.hpp"

#include <functional>

#include "kv/lease_records.hpp"
#include "kv_testing.hpp"

namespace kvstore::kv::test {
namespace {

Txn sample_txn() {
  Op limited = get(until("a", std::string("b\0c", 3)), kOpReverse | kOpKeysOnly, 1000);
  return txn({compare_value(Compare::Op::kGt, prefix("p"), "v"),
              compare(Compare::Target::kLease, Compare::Op::kNe, all(), UINT64_MAX)},
             {put("k", std::string(300, 'v'), kOpPrev), put_upload("big", UINT64_MAX, 64 << 20),
              del(from("x"), kOpPrev), put_leased("l", "v", 300), put_ttl("t", "v", 5000)},
             {limited, get("", kOpCountOnly)});
}

Txn identified_txn() {
  Txn out = txn({put("k", "v")});
  out.request = RequestId{"somebody", "an id", {0x0123456789abcdef, 0xfedcba9876543210}};
  return out;
}

CommandResult replayed_result() {
  CommandResult r;
  r.revision = 3;
  r.replayed = r.shortened = true;
  return r;
}

CommandResult sample_result() {
  CommandResult r;
  r.code = Code::kNotFound;
  r.message = "no";
  r.revision = 1u << 20;
  r.succeeded = true;
  r.ops.resize(2);
  r.ops[0] = {Op::Kind::kGet,
              kOpReverse,
              {{"k", "v", 1, 300, 3, 4, 1}, {"l", "", 1, 2, 3, 0, 5, 6000}},
              2,
              true};
  r.ops[1].kind = Op::Kind::kDelete;
  return r;
}

std::vector<std::string> sample_commands() {
  std::vector<std::string> out;
  for (const Command& command :
       {Command(sample_txn()), Command(Txn()), Command(upload_part(7, 3, 40)),
        Command(UploadAbort{9}), Command(SweepUploads{12345}), Command(Checkpoint{}),
        Command(Compact{123456, 1000}), Command(LeaseGrant{300, 5000}),
        Command(LeaseEnd{{{300, 7}, {own_lease_id(9, 1), 0}}}), Command(LeaseEnd{}),
        Command(identified_txn())})
    out.push_back(encode_command(command));
  return out;
}

// Every truncation, one byte more, and every flipped bit: `reencode` gives back the bytes of what
// it accepted, or nothing.
void mutate(const std::string& good, const std::function<std::string(Bytes)>& reencode) {
  for (size_t size = 0; size < good.size(); size++) {
    std::string again = reencode(Bytes(good).substr(0, size));
    CHECK(again.empty());
  }
  CHECK(reencode(good + '\0').empty());
  for (size_t bit = 0; bit < good.size() * 8; bit++) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    std::string again = reencode(bad);
    CHECK((again.empty() || again == bad));
  }
}

std::string reencode_command(Bytes bytes) {
  auto decoded = decode_command(bytes);
  if (!decoded) return "";
  std::string again = encode_command(decoded->command);
  stamp_time(&again, decoded->leader_time_ms);
  return again;
}

}  // namespace

TEST_CASE("commands survive their encoding") {
  for (const Command& command :
       {Command(sample_txn()), Command(Txn()), Command(upload_part(7, 3, 40)),
        Command(UploadAbort{9}), Command(SweepUploads{12345}), Command(Checkpoint{}),
        Command(Compact{123456, 1000}), Command(LeaseGrant{300, 5000}),
        Command(LeaseEnd{{{300, 7}, {own_lease_id(9, 1), 0}}}), Command(LeaseEnd{}),
        Command(identified_txn())}) {
    auto decoded = decode_command(encode_command(command));
    REQUIRE_MESSAGE(decoded.is_ok(), decoded.status().to_string());
    CHECK(decoded->leader_time_ms == 0);
    CHECK(decoded->command == command);
  }
}

TEST_CASE("the leader's time is stamped without touching the rest") {
  std::string encoded = encode_command(sample_txn());
  stamp_time(&encoded, 0x0102030405060708);
  auto decoded = decode_command(encoded);
  REQUIRE(decoded.is_ok());
  CHECK(decoded->leader_time_ms == 0x0102030405060708);
  CHECK(decoded->command == Command(sample_txn()));
}

TEST_CASE("results survive their encoding") {
  for (const CommandResult& result : {sample_result(), CommandResult(), replayed_result()}) {
    auto decoded = decode_result(encode_result(result));
    REQUIRE_MESSAGE(decoded.is_ok(), decoded.status().to_string());
    CHECK(*decoded == result);
  }
}

TEST_CASE("damaged commands never crash and are never taken for others") {
  for (const std::string& good : sample_commands()) mutate(good, reencode_command);
}

TEST_CASE("damaged results never crash and are never taken for others") {
  mutate(encode_result(sample_result()), [](Bytes bytes) {
    auto decoded = decode_result(bytes);
    return decoded ? encode_result(*decoded) : std::string();
  });
}

TEST_CASE("damaged records never crash and are never taken for others") {
  std::string good;
  for (const Record& in_parts : {Record{3, 9, 4, 1, 5 << 20, 77, {}},
                                 Record{3, 9, 4, own_lease_id(9, 3), 5 << 20, 77, {}, 500}}) {
    good = encode_record(in_parts);
    mutate(good, [](Bytes bytes) {
      auto decoded = decode_record(bytes);
      return decoded ? encode_record(*decoded) : std::string();
    });
  }
  // The bytes of an inline value are the rest of the record, so their number is free.
  Record inline_value{3, 9, 4, 1, 5, 0, "value"};
  good = encode_record(inline_value);
  for (size_t size = 0; size + 5 < good.size(); size++)
    CHECK_FALSE(decode_record(Bytes(good).substr(0, size)).is_ok());
}

TEST_CASE("records survive their encoding") {
  std::string large(kPartBytes, 'v');
  for (const Record& record : {Record{1, 1, 1, 0, 0, 0, ""}, Record{5, 900, 30, 7, 3, 0, "abc"},
                               Record{1, 2, 2, 0, kPartBytes, 0, large},
                               Record{1, UINT64_MAX, 2, kLeaseIdMax, 64 << 20, UINT64_MAX, ""},
                               Record{1, 7, 2, own_lease_id(7, 0), 3, 0, "abc", 5000}}) {
    std::string encoded = encode_record(record);
    auto decoded = decode_record(encoded);
    REQUIRE(decoded.is_ok());
    CHECK(decoded->create_revision == record.create_revision);
    CHECK(decoded->mod_revision == record.mod_revision);
    CHECK(decoded->version == record.version);
    CHECK(decoded->lease == record.lease);
    CHECK(decoded->ttl_ms == record.ttl_ms);
    CHECK(decoded->value_bytes == record.value_bytes);
    CHECK(decoded->upload_id == record.upload_id);
    CHECK((decoded->value == record.value));
  }
}

TEST_CASE("impossible records are CORRUPT") {
  auto refusal = [](const std::string& bytes) {
    Status s = decode_record(bytes).status();
    CHECK(s.code() == Code::kCorrupt);
    return s.message();
  };
  std::string good = encode_record({3, 9, 4, 1, 5, 0, "value"});
  auto with = [&good](size_t at, char c) {
    std::string bad = good;
    bad[at] = c;
    return bad;
  };
  CHECK(refusal("") == "stored record: empty");
  CHECK(refusal(with(0, 3)) == "stored record: unknown format");
  CHECK(refusal(encode_record({3, 9, 4, own_lease_id(9, 1), 1, 0, "v"})) ==
        "stored record: lease and TTL do not agree");
  CHECK(refusal(encode_record({3, 9, 4, 7, 1, 0, "v", 500})) ==
        "stored record: lease and TTL do not agree");
  CHECK(refusal(with(1, 2)) == "stored record: unknown kind");
  CHECK(refusal(with(2, 0)) == "stored record: impossible revisions");
  CHECK(refusal(with(4, 0)) == "stored record: impossible revisions");
  CHECK(refusal(good.substr(0, 4)) == "stored record: cut short");
  CHECK(refusal(good + std::string(kPartBytes, 'x')) == "stored record: inline value too large");
  CHECK(refusal(encode_record({3, 9, 4, 1, 0, 7, ""})) == "stored record: bad reference to parts");
}

TEST_CASE("a newer version's command is UNSUPPORTED, not CORRUPT") {
  std::string good = encode_command(txn({put("k", "v")}));
  auto refusal = [&good](size_t at, char c) {
    std::string bad = good;
    bad[at] = c;
    Status s = decode_command(bad).status();
    CHECK(s.code() == Code::kUnsupported);
    return s.message();
  };
  CHECK(refusal(0, 2) == "command: format 2 is unknown");
  CHECK(refusal(9, 9) == "command: kind 9 is unknown");
  CHECK(refusal(12, 4) == "command: operation kind 4 is unknown");
  CHECK(refusal(13, 0x40) == "command: operation flags 64 is unknown");
  CHECK(refusal(14, 5) == "command: range kind 5 is unknown");
  std::string with_compare =
      encode_command(txn({compare_value(Compare::Op::kEq, key_range("k"), "")}, {}));
  with_compare[11] = 6;
  CHECK(decode_command(with_compare).status().message() == "command: compare target 6 is unknown");
}

TEST_CASE("malformed commands and results are CORRUPT") {
  CHECK(decode_command("").status().message() == "command: empty");
  CHECK(decode_command("\x01").status().message() == "command: cut short");
  std::string good = encode_command(UploadAbort{9});
  CHECK(decode_command(good + "x").status().message() == "command: bytes behind its end");
  good.pop_back();
  CHECK(decode_command(good).status().message() == "command: malformed or cut short");
  CHECK(decode_result("").status().message() == "command result: empty");
  std::string result = encode_result({});
  result[1] = 1;
  CHECK(decode_result(result).status().message() == "command result: code 1 is unknown");
  result[0] = 2;
  CHECK(decode_result(result).status().code() == Code::kUnsupported);
}

TEST_CASE("a count beyond the bytes is refused before memory is taken for it") {
  std::string bytes = encode_command(Txn());
  bytes.resize(10);
  Encoder e(&bytes);
  e.varint(uint64_t{1} << 60);
  CHECK(decode_command(bytes).status().code() == Code::kCorrupt);
}

TEST_CASE("keys of the machine's own data") {
  CHECK(part_key(1, 2) == std::string("\0\0\0\0\0\0\0\1\0\0\0\2", 12));
  CHECK(parts_end(1) == std::string("\0\0\0\0\0\0\0\2", 8));
  CHECK(parts_end(UINT64_MAX).empty());
  CHECK(*parse_upload_key(upload_key(0x1234)) == 0x1234);
  CHECK_FALSE(parse_upload_key("upload/").is_ok());
  CHECK_FALSE(parse_upload_key(upload_key(0)).is_ok());
  CHECK_FALSE(parse_upload_key("Upload/12345678").is_ok());
  CHECK(*parse_lease_key(lease_key(kLeaseIdMax)) == kLeaseIdMax);
  CHECK(*parse_lease_key(lease_key(own_lease_id(5, 6))) == own_lease_id(5, 6));
  for (const std::string& bad : {std::string("lease/"), lease_key(0), lease_key(kLeaseIdMax + 1)})
    CHECK_FALSE(parse_lease_key(bad).is_ok());
  CHECK(key_of_lease_index(lease_index_key(7, "the key")) == "the key");
  for (const LeaseRecord& lease : {LeaseRecord{kTtlMsMin, 1, false}, {kTtlMsMax, UINT64_MAX, true}})
    CHECK(*decode_lease(encode_lease(lease)) == lease);
  for (const LeaseRecord& lease : {LeaseRecord{kTtlMsMin - 1, 1, false}, {kTtlMsMin, 0, true}})
    CHECK(decode_lease(encode_lease(lease)).status().code() == Code::kCorrupt);
  UploadRecord upload{kPartBytes + 1, 2, 99};
  CHECK(*decode_upload(encode_upload(upload)) == upload);
  CHECK(request_key(7) == std::string("request/\0\0\0\0\0\0\0\7", 16));
  CHECK(*parse_request_key(request_key(7)) == 7);
  for (const std::string& bad : {request_key(0), request_key(UINT64_MAX), std::string("request/"),
                                 "x" + request_key(7).substr(1)})
    CHECK_FALSE(parse_request_key(bad).is_ok());
  const std::string encoded = encode_request({1000, {1, 2}, "me", "id", "result"});
  auto request = decode_request(encoded);
  REQUIRE(request.is_ok());
  CHECK(request->fingerprint == Fingerprint{1, 2});
  CHECK(request->result == "result");
  CHECK(request->time_ms == 1000);
  CHECK(request->principal == "me");
  CHECK(request->id == "id");
  CHECK_FALSE(decode_request(encode_request({1000, {1, 2}, "me", "id", ""})).is_ok());
  CHECK_FALSE(decode_request(encode_request({1000, {1, 2}, "me", "", "result"})).is_ok());
  MachineRecord machine{7, 8, 6, 5, 1000};
  CHECK(*decode_machine(encode_machine(machine)) == machine);
  for (const MachineRecord& impossible :
       {MachineRecord{7, 8, 8, 5, 0}, MachineRecord{7, 8, 6, 0, 0}, MachineRecord{7, 8, 6, 8, 0}})
    CHECK(decode_machine(encode_machine(impossible)).status().code() == Code::kCorrupt);
}

}  // namespace kvstore::kv::test
