// The results' half of command_codec.hpp.
#include <algorithm>

#include <fmt/format.h>

#include "base/codec.hpp"
#include "kv/command_codec.hpp"

namespace kvstore::kv {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kOpResultBytesMin = 5;
constexpr size_t kItemBytesMin = 7;
enum : uint8_t { kSucceeded = 1, kReplayed = 2, kShortened = 4, kFlags = 7 };
// Elements that memory is taken for before they were read.
constexpr uint64_t kReserveMax = 256;
// Marks an item's own TTL in the place of its lease.
constexpr uint64_t kOwnTtl = uint64_t{1} << 63;

void put_item(Encoder& e, const Item& item) {
  e.bytes(item.key);
  e.bytes(item.value);
  e.varint(item.create_revision);
  e.varint(item.mod_revision);
  e.varint(item.version);
  e.varint(item.ttl_ms != 0 ? kOwnTtl | item.ttl_ms : item.lease);
  e.varint(item.value_bytes);
}

Item take_item(Decoder& d) {
  Item item;
  item.key = d.bytes();
  item.value = d.bytes();
  item.create_revision = d.varint();
  item.mod_revision = d.varint();
  item.version = d.varint();
  const uint64_t lease = d.varint();
  if ((lease & kOwnTtl) != 0)
    item.ttl_ms = lease & ~kOwnTtl;
  else
    item.lease = lease;
  if (lease == kOwnTtl) d.fail();
  item.value_bytes = d.varint();
  return item;
}

bool take_bool(Decoder& d) {
  uint8_t value = d.u8();
  if (value > 1) d.fail();
  return value == 1;
}

OpResult take_op(Decoder& d) {
  OpResult op;
  uint8_t kind = d.u8();
  if (kind < static_cast<uint8_t>(Op::Kind::kPut) || kind > static_cast<uint8_t>(Op::Kind::kGet))
    d.fail();
  op.kind = static_cast<Op::Kind>(kind);
  uint64_t flags = d.varint();
  if (flags > UINT32_MAX) d.fail();
  op.flags = static_cast<uint32_t>(flags);
  op.count = d.varint();
  op.more = take_bool(d);
  uint64_t items = d.count(kItemBytesMin);
  op.items.reserve(std::min(items, kReserveMax));
  for (uint64_t i = 0; i < items && d.ok(); i++) op.items.push_back(take_item(d));
  return op;
}

}  // namespace

std::string encode_result(const CommandResult& result) {
  std::string out;
  Encoder e(&out);
  e.u8(kFormat);
  e.u32(static_cast<uint32_t>(result.code));
  e.bytes(result.message);
  e.varint(result.revision);
  e.u8(static_cast<uint8_t>((result.succeeded ? kSucceeded : 0) |
                            (result.replayed ? kReplayed : 0) |
                            (result.shortened ? kShortened : 0)));
  e.varint(result.ops.size());
  for (const OpResult& op : result.ops) {
    e.u8(static_cast<uint8_t>(op.kind));
    e.varint(op.flags);
    e.varint(op.count);
    e.u8(op.more ? 1 : 0);
    e.varint(op.items.size());
    for (const Item& item : op.items) put_item(e, item);
  }
  return out;
}

Result<CommandResult> decode_result(Bytes bytes) {
  Decoder d(bytes);
  uint8_t format = d.u8();
  if (!d.ok()) return Status(Code::kCorrupt, "command result: empty");
  if (format != kFormat)
    return Status(Code::kUnsupported, fmt::format("command result: format {} is unknown", format));
  CommandResult result;
  auto number = static_cast<int32_t>(d.u32());
  result.code = static_cast<Code>(number);
  if (d.ok() && code_name(result.code) == "unknown")
    return Status(Code::kCorrupt, fmt::format("command result: code {} is unknown", number));
  result.message = d.bytes();
  result.revision = d.varint();
  const uint8_t flags = d.u8();
  if ((flags & ~kFlags) != 0) d.fail();
  result.succeeded = (flags & kSucceeded) != 0;
  result.replayed = (flags & kReplayed) != 0;
  result.shortened = (flags & kShortened) != 0;
  uint64_t ops = d.count(kOpResultBytesMin);
  result.ops.reserve(std::min(ops, kReserveMax));
  for (uint64_t i = 0; i < ops && d.ok(); i++) result.ops.push_back(take_op(d));
  if (!d.ok()) return Status(Code::kCorrupt, "command result: malformed or cut short");
  if (!d.done()) return Status(Code::kCorrupt, "command result: bytes behind its end");
  return result;
}

}  // namespace kvstore::kv
