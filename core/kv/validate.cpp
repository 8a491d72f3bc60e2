#include "kv/validate.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace kvstore::kv {
namespace {

Status invalid(std::string what) {
  return Status(Code::kInvalid, std::move(what));
}

uint32_t known_flags(Op::Kind kind) {
  switch (kind) {
    case Op::Kind::kPut:
    case Op::Kind::kDelete:
      return kOpPrev | kOpKeysOnly;
    case Op::Kind::kGet:
      return kOpKeysOnly | kOpCountOnly | kOpReverse;
  }
  return 0;
}

Status check_put(const Op& op) {
  if (op.range.kind != Range::Kind::kKey) return invalid("a put takes a single key");
  if (op.value.size() > kPartBytes)
    return invalid(fmt::format("a value above {} bytes must be uploaded in parts", kPartBytes));
  if (op.upload_id != 0 && !op.value.empty())
    return invalid("a put takes either a value or an upload");
  if (op.upload_id == 0 && op.upload_bytes != 0) return invalid("upload_bytes without an upload");
  if (op.lease != 0 && op.ttl_ms != 0) return invalid("a put takes either a lease or a ttl");
  if (op.lease > kLeaseIdMax)
    return invalid(fmt::format("lease {} is not in 1..{}", op.lease, kLeaseIdMax));
  return op.ttl_ms != 0 ? validate_ttl(op.ttl_ms) : Status();
}

Status check_not_put(const Op& op) {
  if (op.upload_id != 0 || op.upload_bytes != 0) return invalid("only a put takes an upload");
  if (op.lease != 0 || op.ttl_ms != 0) return invalid("only a put takes a lease or a ttl");
  return Status();
}

Status check_op(const Op& op) {
  if (Status s = validate_range(op.range); !s) return s;
  if ((op.flags & ~known_flags(op.kind)) != 0)
    return invalid(fmt::format("flags {:#x} do not fit this operation", op.flags));
  return op.kind == Op::Kind::kPut ? check_put(op) : check_not_put(op);
}

Status check_branch(const std::vector<Op>& ops, const char* name) {
  std::vector<Bytes> put_keys;
  for (size_t i = 0; i < ops.size(); i++) {
    if (Status s = check_op(ops[i]); !s)
      return invalid(fmt::format("{}[{}]: {}", name, i, s.message()));
    if (ops.size() > 1 && ops[i].kind == Op::Kind::kPut) put_keys.push_back(ops[i].range.key);
  }
  std::sort(put_keys.begin(), put_keys.end());
  if (std::adjacent_find(put_keys.begin(), put_keys.end()) != put_keys.end())
    return invalid(fmt::format("{}: a key is put twice", name));
  return Status();
}

Status check_request(const RequestId& request) {
  if (request.id.empty() || request.id.size() > kRequestIdBytesMax)
    return invalid(fmt::format("the request id has {} bytes, not 1..{}", request.id.size(),
                               kRequestIdBytesMax));
  if (request.principal.size() > kPrincipalBytesMax)
    return invalid(fmt::format("the principal has more than {} bytes", kPrincipalBytesMax));
  return Status();
}

Status check_uploads(const Txn& txn) {
  std::vector<uint64_t> ids;
  for (const std::vector<Op>* ops : {&txn.then_ops, &txn.else_ops}) {
    for (const Op& op : *ops) {
      if (op.upload_id != 0) ids.push_back(op.upload_id);
    }
  }
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end())
    return invalid("an upload is named twice");
  return Status();
}

}  // namespace

Status validate_range(const Range& range) {
  if (range.kind == Range::Kind::kKey && range.key.empty()) return invalid("the key is empty");
  if (range.key.size() > kKeyBytesMax || range.end.size() > kKeyBytesMax)
    return invalid(fmt::format("a key is longer than {} bytes", kKeyBytesMax));
  if (range.kind == Range::Kind::kUntil && range.end.empty())
    return invalid("the range has no end");
  return Status();
}

Status validate_ttl(uint64_t ttl_ms) {
  if (ttl_ms >= kTtlMsMin && ttl_ms <= kTtlMsMax) return Status();
  return invalid(fmt::format("a ttl of {} ms is not in {} ms..{} days", ttl_ms, kTtlMsMin,
                             kTtlMsMax / 86'400'000));
}

Status validate_txn(const Txn& txn) {
  if (txn.request) {
    if (Status s = check_request(*txn.request); !s) return s;
  }
  for (size_t i = 0; i < txn.compares.size(); i++) {
    if (Status s = validate_range(txn.compares[i].range); !s)
      return invalid(fmt::format("compares[{}]: {}", i, s.message()));
  }
  if (Status s = check_branch(txn.then_ops, "then"); !s) return s;
  if (Status s = check_branch(txn.else_ops, "else"); !s) return s;
  return check_uploads(txn);
}

}  // namespace kvstore::kv
