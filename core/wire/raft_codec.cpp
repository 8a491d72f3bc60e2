#include "wire/raft_codec.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/codec.hpp"
#include "base/crc32c.hpp"
#include "raft/configuration.hpp"
#include "wire/frame.hpp"

namespace kvstore::wire {
namespace {

using raft::Entry;
using raft::EntryKind;
using raft::Index;
using raft::LogId;
using raft::Message;
using raft::MessageType;
using raft::NodeId;
using raft::Term;

enum : uint8_t { kReject = 1, kForced = 2, kSpaceLow = 4, kReverted = 8 };
constexpr size_t kHeaderBytesTypical = 80;
// Term, kind, checksum and size of one entry take at least and at most this many bytes.
constexpr size_t kEntryBytesMin = 7;
constexpr size_t kEntryBytesMax = 26;
// Entries that memory is taken for before they were read.
constexpr uint64_t kReserveMax = 1024;

Status corrupt(std::string what) {
  return Status(Code::kCorrupt, "raft message: " + what);
}

void put_id(Encoder& e, const LogId& id) {
  e.varint(id.term.value);
  e.varint(id.index.value);
}

LogId take_id(Decoder& d) {
  LogId id;
  id.term.value = d.varint();
  id.index.value = d.varint();
  return id;
}

void put_fields(Encoder& e, const Message& m) {
  e.u8(static_cast<uint8_t>(FrameKind::kRaft));
  e.u8(static_cast<uint8_t>(m.type));
  e.u8(static_cast<uint8_t>((m.reject ? kReject : 0) | (m.forced ? kForced : 0) |
                            (m.space_low ? kSpaceLow : 0) | (m.reverted ? kReverted : 0)));
  e.u64(m.from.value);
  e.u64(m.to.value);
  e.varint(m.term.value);
  put_id(e, m.log);
  e.varint(m.commit.value);
  e.varint(m.match.value);
  put_id(e, m.hint);
  e.varint(m.rejected.value);
  e.varint(m.read_round);
  e.varint(m.token);
  e.varint(m.promise_ms);
  e.varint(m.entries.size());
}

// What put_fields() wrote but for the number of entries.
Status take_fields(Decoder& d, Message* m) {
  if (d.u8() != static_cast<uint8_t>(FrameKind::kRaft)) return corrupt("another kind of frame");
  uint8_t type = d.u8();
  if (d.ok() && (type < static_cast<uint8_t>(MessageType::kPreVote) ||
                 type > static_cast<uint8_t>(MessageType::kTimeoutNow)))
    return corrupt(fmt::format("type {} is unknown", type));
  m->type = static_cast<MessageType>(type);
  uint8_t flags = d.u8();
  if ((flags & ~(kReject | kForced | kSpaceLow | kReverted)) != 0)
    return corrupt(fmt::format("flags {:#x} are unknown", flags));
  m->reject = (flags & kReject) != 0;
  m->forced = (flags & kForced) != 0;
  m->space_low = (flags & kSpaceLow) != 0;
  m->reverted = (flags & kReverted) != 0;
  m->from.value = d.u64();
  m->to.value = d.u64();
  m->term.value = d.varint();
  m->log = take_id(d);
  m->commit.value = d.varint();
  m->match.value = d.varint();
  m->hint = take_id(d);
  m->rejected.value = d.varint();
  m->read_round = d.varint();
  m->token = d.varint();
  m->promise_ms = d.varint();
  if (!d.ok()) return corrupt("header malformed or cut short");
  if (!m->from || !m->to) return corrupt("node id 0");
  return Status();
}

// An entry's description, checked against the one before it; its data come later.
Status take_entry(Decoder& d, const Message& m, const LogId& before, Entry* entry, uint64_t* size) {
  entry->id = LogId{Term{d.varint()}, before.index + 1};
  uint64_t kind = d.varint();
  entry->crc = d.u32();
  *size = d.varint();
  if (!d.ok()) return corrupt("entries malformed or cut short");
  uint64_t index = entry->id.index.value;
  if (index == 0) return corrupt("indexes overflow");
  if (entry->id.term < before.term)
    return corrupt(fmt::format("entry {}: term {} after term {}", index, entry->id.term.value,
                               before.term.value));
  if (entry->id.term > m.term)
    return corrupt(fmt::format("entry {}: term {} is above the message's {}", index,
                               entry->id.term.value, m.term.value));
  if (kind > static_cast<uint64_t>(EntryKind::kConfiguration))
    return corrupt(fmt::format("entry {}: kind {} is unknown", index, kind));
  entry->kind = static_cast<EntryKind>(kind);
  return Status();
}

Status check_entry(const Entry& entry) {
  if (!raft::entry_intact(entry))
    return corrupt(fmt::format("entry {}: wrong checksum", entry.id.index.value));
  if (entry.kind != EntryKind::kConfiguration) return Status();
  auto configuration = raft::Configuration::decode(entry.data.view());
  if (configuration) return Status();
  return corrupt(
      fmt::format("entry {}: {}", entry.id.index.value, configuration.status().message()));
}

// Slices the entries' data out of what follows the header.
Status take_data(const SharedBytes& payload, size_t offset, const std::vector<uint64_t>& sizes,
                 Message* m) {
  for (size_t i = 0; i < sizes.size(); i++) {
    Entry& entry = m->entries[i];
    if (sizes[i] > payload.size() - offset)
      return corrupt(fmt::format("entry {}: data cut short", entry.id.index.value));
    entry.data = payload.slice(offset, sizes[i]);
    offset += sizes[i];
    if (Status s = check_entry(entry); !s) return s;
  }
  if (offset != payload.size()) return corrupt("bytes behind its end");
  return Status();
}

}  // namespace

EncodedMessage encode_message(const Message& message) {
  KVS_ASSERT(message.entries.empty() || message.type == MessageType::kAppend);
  std::string header;
  header.reserve(kHeaderBytesTypical + message.entries.size() * kEntryBytesMax);
  Encoder e(&header);
  put_fields(e, message);
  EncodedMessage out;
  out.parts.reserve(1 + message.entries.size());
  out.parts.emplace_back();
  Index expected = message.log.index;
  for (const Entry& entry : message.entries) {
    expected = expected + 1;
    KVS_ASSERT(entry.id.index == expected);
    e.varint(entry.id.term.value);
    e.varint(static_cast<uint32_t>(entry.kind));
    e.u32(entry.crc);
    e.varint(entry.data.size());
    if (entry.data.empty()) continue;
    out.parts.push_back(entry.data);
    out.bytes += entry.data.size();
  }
  e.u32(crc32c(0, header));
  out.bytes += header.size();
  out.parts[0] = SharedBytes(std::move(header));
  return out;
}

Result<Message> decode_message(const SharedBytes& payload) {
  Decoder d(payload.view());
  Message m;
  if (Status s = take_fields(d, &m); !s) return s;
  uint64_t count = d.count(kEntryBytesMin);
  if (!d.ok()) return corrupt("more entries than bytes");
  if (count != 0 && m.type != MessageType::kAppend) return corrupt("entries outside an append");
  std::vector<uint64_t> sizes;
  sizes.reserve(std::min(count, kReserveMax));
  m.entries.reserve(std::min(count, kReserveMax));
  LogId before = m.log;
  for (uint64_t i = 0; i < count; i++) {
    Status s = take_entry(d, m, before, &m.entries.emplace_back(), &sizes.emplace_back());
    if (!s) return s;
    before = m.entries.back().id;
  }
  size_t header_bytes = payload.size() - d.remaining();
  uint32_t sum = d.u32();
  if (!d.ok()) return corrupt("checksum cut short");
  if (sum != crc32c(0, payload.view().substr(0, header_bytes)))
    return corrupt("wrong checksum of the header");
  Status s = take_data(payload, payload.size() - d.remaining(), sizes, &m);
  if (!s) return s;
  return m;
}

}  // namespace kvstore::wire
