// Goal: raft messages survive the wire without copies of their entries, and nothing damaged or
// inconsistent is let in.
// Method: round trips of every type; every truncation and flipped bit of samples is refused; forged
// headers with right checksums are refused for their content, by name.
#include "wire/raft_codec.hpp"

#include <doctest/doctest.h>

#include "base/codec.hpp"
#include "base/crc32c.hpp"
#include "mutations.hpp"
#include "raft/configuration.hpp"
#include "wire/frame.hpp"

namespace kvstore::wire::test {
namespace {

using namespace raft;  // NOLINT: the vocabulary of the messages

Entry entry(uint64_t term, uint64_t index, EntryKind kind, std::string data) {
  Entry e{{Term{term}, Index{index}}, kind, 0, SharedBytes(std::move(data))};
  e.crc = entry_crc(e.id, e.kind, e.data.view());
  return e;
}

Message message(MessageType type) {
  Message m;
  m.type = type;
  m.from = NodeId{uint64_t{1} << 62};
  m.to = NodeId{3};
  m.term = Term{9};
  return m;
}

Message sample_append() {
  Message m = message(MessageType::kAppend);
  m.log = {Term{4}, Index{100}};
  m.commit = Index{99};
  m.read_round = 12345;
  Configuration configuration;
  configuration.set({NodeId{3}, true, false});
  m.entries = {entry(4, 101, EntryKind::kCommand, std::string(200, 'x')),
               entry(7, 102, EntryKind::kNoop, ""),
               entry(9, 103, EntryKind::kConfiguration, configuration.encode()),
               entry(9, 104, EntryKind::kCommand, "tail")};
  return m;
}

Message sample_reply() {
  Message m = message(MessageType::kAppendReply);
  m.reject = true;
  m.forced = true;
  m.space_low = true;
  m.reverted = true;
  m.log = {Term{1}, Index{2}};
  m.commit = Index{UINT64_MAX};
  m.match = Index{300};
  m.hint = {Term{5}, Index{6}};
  m.rejected = Index{7};
  m.token = UINT64_MAX;
  m.promise_ms = 1'000;
  return m;
}

std::string join(const EncodedMessage& encoded) {
  std::string out;
  for (const SharedBytes& part : encoded.parts) out += part.view();
  CHECK(out.size() == encoded.bytes);
  return out;
}

Result<Message> decode(std::string bytes) {
  return decode_message(SharedBytes(std::move(bytes)));
}

void check_equal(const Message& a, const Message& b) {
  CHECK(a.type == b.type);
  CHECK(a.reject == b.reject);
  CHECK(a.forced == b.forced);
  CHECK(a.space_low == b.space_low);
  CHECK(a.reverted == b.reverted);
  CHECK((a.from == b.from && a.to == b.to && a.term == b.term && a.log == b.log));
  CHECK((a.commit == b.commit && a.match == b.match && a.hint == b.hint));
  CHECK((a.rejected == b.rejected && a.read_round == b.read_round && a.token == b.token));
  CHECK(a.promise_ms == b.promise_ms);
  REQUIRE(a.entries.size() == b.entries.size());
  for (size_t i = 0; i < a.entries.size(); i++) {
    CHECK((a.entries[i].id == b.entries[i].id));
    CHECK(a.entries[i].kind == b.entries[i].kind);
    CHECK(a.entries[i].crc == b.entries[i].crc);
    CHECK(a.entries[i].data == b.entries[i].data);
  }
}

// The message that `good` decodes to after its header was changed and summed up again.
std::string refusal(const Message& m) {
  auto decoded = decode(join(encode_message(m)));
  CHECK(decoded.status().code() == Code::kCorrupt);
  return decoded.status().message();
}

}  // namespace

TEST_CASE("every type of message survives the wire") {
  for (auto type = static_cast<int>(MessageType::kPreVote);
       type <= static_cast<int>(MessageType::kTimeoutNow); type++) {
    Message m = sample_reply();
    m.type = static_cast<MessageType>(type);
    auto decoded = decode(join(encode_message(m)));
    REQUIRE_MESSAGE(decoded.is_ok(), decoded.status().to_string());
    check_equal(*decoded, m);
  }
  auto append = decode(join(encode_message(sample_append())));
  REQUIRE_MESSAGE(append.is_ok(), append.status().to_string());
  check_equal(*append, sample_append());
}

TEST_CASE("entries are encoded without a copy") {
  Message m = sample_append();
  EncodedMessage encoded = encode_message(m);
  REQUIRE(encoded.parts.size() == 4);  // the header and the entries that have data
  CHECK(encoded.parts[1].data() == m.entries[0].data.data());
  CHECK(encoded.parts[2].data() == m.entries[2].data.data());
  CHECK(encoded.parts[3].data() == m.entries[3].data.data());
}

TEST_CASE("decoded entries are slices that keep the payload alive") {
  SharedBytes payload(join(encode_message(sample_append())));
  auto decoded = decode_message(payload);
  REQUIRE(decoded.is_ok());
  const char* begin = payload.data();
  const char* end = begin + payload.size();
  payload = SharedBytes();
  const SharedBytes& data = decoded->entries[0].data;
  CHECK((data.data() >= begin && data.data() < end));
  CHECK(data.view() == std::string(200, 'x'));
}

TEST_CASE("a raft message begins with its frame kind") {
  CHECK(*frame_kind(join(encode_message(sample_reply()))) == FrameKind::kRaft);
  CHECK(frame_kind("").status().code() == Code::kCorrupt);
  for (char unknown : {'\0', '\6', '\xff'})
    CHECK(frame_kind(std::string(1, unknown)).status().code() == Code::kUnsupported);
  for (char kind = 1; kind <= 5; kind++) CHECK(frame_kind(std::string(1, kind)).is_ok());
}

TEST_CASE("no damaged message is let in") {
  for (const Message& m : {sample_append(), sample_reply()}) {
    for (const std::string& bad : mutations(join(encode_message(m))))
      CHECK(decode(bad).status().code() == Code::kCorrupt);
  }
}

TEST_CASE("messages that contradict themselves are refused by name") {
  Message m = sample_append();
  m.from = kNoNode;
  CHECK(refusal(m) == "raft message: node id 0");
  m = sample_append();
  m.to = kNoNode;
  CHECK(refusal(m) == "raft message: node id 0");
  m = sample_append();
  m.term = Term{8};
  CHECK(refusal(m) == "raft message: entry 103: term 9 is above the message's 8");
  m = sample_append();
  m.log.term = Term{5};
  CHECK(refusal(m) == "raft message: entry 101: term 4 after term 5");
  m = sample_append();
  m.entries[2].id.term = Term{6};
  CHECK(refusal(m) == "raft message: entry 103: term 6 after term 7");
  m = sample_append();
  m.entries[0].crc++;
  CHECK(refusal(m) == "raft message: entry 101: wrong checksum");
  m = sample_append();
  m.entries[3].kind = static_cast<EntryKind>(3);
  CHECK(refusal(m) == "raft message: entry 104: kind 3 is unknown");
  m = sample_append();
  m.entries[2] = entry(9, 103, EntryKind::kConfiguration, "junk");
  CHECK(refusal(m).starts_with("raft message: entry 103: configuration: "));
  m = sample_append();
  m.log.index = Index{UINT64_MAX};
  m.entries = {entry(9, 0, EntryKind::kNoop, "")};
  CHECK(refusal(m) == "raft message: indexes overflow");
  m = sample_reply();
  m.type = static_cast<MessageType>(12);
  CHECK(refusal(m) == "raft message: type 12 is unknown");
}

TEST_CASE("entries outside an append and counts beyond the bytes are refused") {
  std::string append = join(encode_message(sample_append()));
  append[1] = static_cast<char>(MessageType::kHeartbeat);
  CHECK(decode(append).status().message() == "raft message: entries outside an append");

  Message empty = message(MessageType::kAppend);
  std::string bytes = join(encode_message(empty));
  bytes.resize(bytes.size() - sizeof(uint32_t) - 1);  // without checksum and number of entries
  Encoder e(&bytes);
  e.varint(uint64_t{1} << 62);
  e.u32(crc32c(0, bytes));
  CHECK(decode(bytes).status().message() == "raft message: more entries than bytes");
}

TEST_CASE("another kind of frame and unknown flags are refused") {
  std::string bytes = join(encode_message(sample_reply()));
  bytes[0] = 2;
  CHECK(decode(bytes).status().message() == "raft message: another kind of frame");
  bytes[0] = 1;
  bytes[2] = 16;
  CHECK(decode(bytes).status().message() == "raft message: flags 0x10 are unknown");
}

}  // namespace kvstore::wire::test
