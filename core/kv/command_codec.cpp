#include "kv/command_codec.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/codec.hpp"

namespace kvstore::kv {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kTimeOffset = 1;
constexpr size_t kKindOffset = 9;
enum : uint8_t {
  kTxn = 1,
  kUploadPart = 2,
  kUploadAbort = 3,
  kSweepUploads = 4,
  kCheckpoint = 5,
  kCompact = 6,
  kLeaseGrant = 7,
  kLeaseEnd = 8,
  kRequestTxn = 13  // with a request id
};

constexpr uint32_t kKnownFlags = kOpPrev | kOpKeysOnly | kOpCountOnly | kOpReverse;
// Among an operation's encoded flags: a lease and a ttl follow its limit.
constexpr uint64_t kWithLease = 1u << 16;
// Fewest bytes that an element of a sequence takes, so that counts cannot drive allocations.
constexpr size_t kCompareBytesMin = 6;
constexpr size_t kOpBytesMin = 8;
constexpr size_t kLeaseRefBytesMin = 2;
// Elements that memory is taken for before they were read.
constexpr uint64_t kReserveMax = 256;

void put_range(Encoder& e, const Range& range) {
  e.u8(static_cast<uint8_t>(range.kind));
  e.bytes(range.key);
  if (range.kind == Range::Kind::kUntil) e.bytes(range.end);
}

void put_ops(Encoder& e, const std::vector<Op>& ops) {
  e.varint(ops.size());
  for (const Op& op : ops) {
    e.u8(static_cast<uint8_t>(op.kind));
    const bool with_lease = op.lease != 0 || op.ttl_ms != 0;
    e.varint(op.flags | (with_lease ? kWithLease : 0));
    put_range(e, op.range);
    e.bytes(op.value);
    e.varint(op.upload_id);
    e.varint(op.upload_bytes);
    e.varint(op.limit);
    if (!with_lease) continue;
    e.varint(op.lease);
    e.varint(op.ttl_ms);
  }
}

struct Writer {
  Encoder& e;
  void operator()(const Txn& txn) {
    e.u8(txn.request ? kRequestTxn : kTxn);
    if (txn.request) put_request(*txn.request);
    e.varint(txn.compares.size());
    for (const Compare& c : txn.compares) {
      e.u8(static_cast<uint8_t>(c.target));
      e.u8(static_cast<uint8_t>(c.op));
      put_range(e, c.range);
      e.bytes(c.value);
      e.varint(c.number);
    }
    put_ops(e, txn.then_ops);
    put_ops(e, txn.else_ops);
  }
  void put_request(const RequestId& request) {
    e.bytes(request.principal);
    e.bytes(request.id);
    e.u64(request.fingerprint.low);
    e.u64(request.fingerprint.high);
  }
  void operator()(const UploadPart& part) {
    e.u8(kUploadPart);
    e.u64(part.upload_id);
    e.u32(part.part);
    e.bytes(part.bytes);
  }
  void operator()(const UploadAbort& abort) {
    e.u8(kUploadAbort);
    e.u64(abort.upload_id);
  }
  void operator()(const SweepUploads& sweep) {
    e.u8(kSweepUploads);
    e.u64(sweep.idle_before_ms);
  }
  void operator()(const Checkpoint&) { e.u8(kCheckpoint); }
  void operator()(const Compact& compact) {
    e.u8(kCompact);
    e.u64(compact.revision);
    e.u64(compact.changes_max);
  }
  void operator()(const LeaseGrant& grant) {
    e.u8(kLeaseGrant);
    e.u64(grant.id);
    e.u64(grant.ttl_ms);
  }
  void operator()(const LeaseEnd& end) {
    e.u8(kLeaseEnd);
    e.varint(end.leases.size());
    for (const LeaseRef& lease : end.leases) {
      e.varint(lease.id);
      e.varint(lease.generation);
    }
  }
};

// Reads a command's payload.  What a newer version may have added is told apart from damage.
class Reader {
 public:
  explicit Reader(Decoder* in) : in_(*in) {}

  RequestId request() {
    RequestId request;
    request.principal = in_.bytes();
    request.id = in_.bytes();
    request.fingerprint.low = in_.u64();
    request.fingerprint.high = in_.u64();
    return request;
  }
  Txn txn() {
    Txn txn;
    uint64_t compares = in_.count(kCompareBytesMin);
    txn.compares.reserve(std::min(compares, kReserveMax));
    for (uint64_t i = 0; i < compares && in_.ok(); i++) compare(&txn.compares.emplace_back());
    ops(&txn.then_ops);
    ops(&txn.else_ops);
    return txn;
  }
  LeaseEnd lease_end() {
    LeaseEnd end;
    const uint64_t leases = in_.count(kLeaseRefBytesMin);
    end.leases.reserve(std::min(leases, kReserveMax));
    for (uint64_t i = 0; i < leases && in_.ok(); i++) {
      LeaseRef& lease = end.leases.emplace_back();
      lease.id = in_.varint();
      lease.generation = in_.varint();
    }
    return end;
  }
  const std::string& unknown() const { return unknown_; }

 private:
  // A number that must lie in first..last.
  uint8_t choice(const char* what, uint8_t first, uint8_t last) {
    uint8_t value = in_.u8();
    if (in_.ok() && (value < first || value > last)) reject(what, value);
    return value;
  }
  void reject(const char* what, uint64_t value) {
    if (unknown_.empty()) unknown_ = fmt::format("{} {}", what, value);
    in_.fail();
  }
  void range(Range* range) {
    range->kind = static_cast<Range::Kind>(choice("range kind", 0, 4));
    range->key = in_.bytes();
    if (range->kind == Range::Kind::kUntil) range->end = in_.bytes();
  }
  void compare(Compare* c) {
    c->target = static_cast<Compare::Target>(choice("compare target", 1, 5));
    c->op = static_cast<Compare::Op>(choice("compare operator", 1, 4));
    range(&c->range);
    c->value = in_.bytes();
    c->number = in_.varint();
  }
  void op(Op* op) {
    op->kind = static_cast<Op::Kind>(choice("operation kind", 1, 3));
    uint64_t flags = in_.varint();
    if (in_.ok() && (flags & ~(kKnownFlags | kWithLease)) != 0) reject("operation flags", flags);
    op->flags = static_cast<uint32_t>(flags & kKnownFlags);
    range(&op->range);
    op->value = in_.bytes();
    op->upload_id = in_.varint();
    op->upload_bytes = in_.varint();
    op->limit = in_.varint();
    if ((flags & kWithLease) == 0) return;
    op->lease = in_.varint();
    op->ttl_ms = in_.varint();
    if (op->lease == 0 && op->ttl_ms == 0) in_.fail();
  }
  void ops(std::vector<Op>* ops) {
    uint64_t count = in_.count(kOpBytesMin);
    ops->reserve(std::min(count, kReserveMax));
    for (uint64_t i = 0; i < count && in_.ok(); i++) op(&ops->emplace_back());
  }

  Decoder& in_;
  std::string unknown_;
};

}  // namespace

std::string encode_command(const Command& command) {
  std::string out;
  Encoder e(&out);
  e.u8(kFormat);
  e.u64(0);
  std::visit(Writer{e}, command);
  return out;
}

std::string encode_txn(const Txn& txn) {
  std::string out;
  Encoder e(&out);
  Writer{e}(txn);
  return out;
}

void stamp_time(std::string* encoded, uint64_t leader_time_ms) {
  KVS_ASSERT(encoded->size() > kTimeOffset + sizeof leader_time_ms);
  std::memcpy(encoded->data() + kTimeOffset, &leader_time_ms, sizeof leader_time_ms);
}

bool is_checkpoint(Bytes encoded) {
  return encoded.size() == kKindOffset + 1 && encoded[0] == kFormat &&
         encoded[kKindOffset] == kCheckpoint;
}

Result<DecodedCommand> decode_command(Bytes bytes) {
  Decoder d(bytes);
  uint8_t format = d.u8();
  if (!d.ok()) return Status(Code::kCorrupt, "command: empty");
  if (format != kFormat)
    return Status(Code::kUnsupported, fmt::format("command: format {} is unknown", format));
  DecodedCommand out;
  out.leader_time_ms = d.u64();
  uint8_t kind = d.u8();
  if (!d.ok()) return Status(Code::kCorrupt, "command: cut short");
  Reader reader(&d);
  switch (kind) {
    case kTxn:
      out.command = reader.txn();
      break;
    case kRequestTxn: {
      RequestId request = reader.request();
      Txn txn = reader.txn();
      txn.request = std::move(request);
      out.command = std::move(txn);
      break;
    }
    case kUploadPart: {
      UploadPart& part = out.command.emplace<UploadPart>();
      part.upload_id = d.u64();
      part.part = d.u32();
      part.bytes = d.bytes();
      break;
    }
    case kUploadAbort:
      out.command = UploadAbort{d.u64()};
      break;
    case kSweepUploads:
      out.command = SweepUploads{d.u64()};
      break;
    case kCheckpoint:
      out.command = Checkpoint{};
      break;
    case kCompact: {
      Compact& compact = out.command.emplace<Compact>();
      compact.revision = d.u64();
      compact.changes_max = d.u64();
      break;
    }
    case kLeaseGrant: {
      LeaseGrant& grant = out.command.emplace<LeaseGrant>();
      grant.id = d.u64();
      grant.ttl_ms = d.u64();
      break;
    }
    case kLeaseEnd:
      out.command = reader.lease_end();
      break;
    default:
      return Status(Code::kUnsupported, fmt::format("command: kind {} is unknown", kind));
  }
  if (!reader.unknown().empty())
    return Status(Code::kUnsupported, fmt::format("command: {} is unknown", reader.unknown()));
  if (!d.ok()) return Status(Code::kCorrupt, "command: malformed or cut short");
  if (!d.done()) return Status(Code::kCorrupt, "command: bytes behind its end");
  return out;
}

}  // namespace kvstore::kv
