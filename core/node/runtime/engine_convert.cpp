#include "node/runtime/engine_convert.hpp"

#include <fmt/format.h>

#include "plugin/slice.hpp"

namespace kvstore::node::runtime {
namespace {

std::string copy(const kvs_slice& s) {
  return std::string(plugin::to_bytes(s));
}

Status check_key(const std::string& key, const EngineLimits& limits, const char* what) {
  if (key.empty()) return {Code::kInvalid, std::string(what) + " is empty"};
  if (key.size() > limits.key_bytes_max) {
    return {Code::kInvalid, fmt::format("{} has {} bytes, the limit is {}", what, key.size(),
                                        limits.key_bytes_max)};
  }
  return Status::ok();
}

Result<kv::Compare> compare_from_abi(const kvs_compare& c, const EngineLimits& limits) {
  if (c.target < KVS_CMP_VALUE || c.target > KVS_CMP_LEASE) {
    return Status(Code::kUnsupported, fmt::format("compare target {} is unknown", c.target));
  }
  if (c.op < KVS_CMP_EQ || c.op > KVS_CMP_GT) {
    return Status(Code::kUnsupported, fmt::format("compare operator {} is unknown", c.op));
  }
  Result<kv::Range> range = range_from_abi(c.range, limits);
  if (!range) return range.status();
  kv::Compare out;
  out.target = static_cast<kv::Compare::Target>(c.target);
  out.op = static_cast<kv::Compare::Op>(c.op);
  out.range = std::move(*range);
  out.value = copy(c.value);
  out.number = c.number;
  return out;
}

Result<kv::Op> op_from_abi(const kvs_op& op, const EngineLimits& limits) {
  if (op.kind < KVS_OP_PUT || op.kind > KVS_OP_GET) {
    return Status(Code::kUnsupported, fmt::format("operation kind {} is unknown", op.kind));
  }
  Result<kv::Range> range = range_from_abi(op.range, limits);
  if (!range) return range.status();
  kv::Op out;
  out.kind = static_cast<kv::Op::Kind>(op.kind);
  out.flags = op.flags;
  out.range = std::move(*range);
  out.limit = op.limit;
  out.lease = op.lease;
  out.ttl_ms = op.ttl_ms;
  if (out.kind == kv::Op::Kind::kPut) {
    if (out.range.kind != kv::Range::Kind::kKey) {
      return Status(Code::kInvalid, "a put needs a single key");
    }
    if (op.value.len > kv::kPartBytes) {
      return Status(Code::kInvalid, "a value above 1 MiB must be uploaded");
    }
    out.value = copy(op.value);
  }
  return out;
}

Status ops_from_abi(const kvs_op* ops, uint32_t count, const EngineLimits& limits,
                    std::vector<kv::Op>* out) {
  if (count > limits.txn_ops_max) {
    return {Code::kInvalid,
            fmt::format("{} operations in one branch, the limit is {}", count, limits.txn_ops_max)};
  }
  out->reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    Result<kv::Op> op = op_from_abi(ops[i], limits);
    if (!op) return op.status();
    out->push_back(std::move(*op));
  }
  return Status::ok();
}

}  // namespace

Result<kv::Range> range_from_abi(const kvs_range& range, const EngineLimits& limits) {
  if (range.kind > KVS_RANGE_ALL) {
    return Status(Code::kUnsupported, fmt::format("range kind {} is unknown", range.kind));
  }
  kv::Range out;
  out.kind = static_cast<kv::Range::Kind>(range.kind);
  out.key = copy(range.key);
  out.end = copy(range.end);
  if (out.kind == kv::Range::Kind::kKey) {
    if (Status s = check_key(out.key, limits, "the key"); !s) return s;
  } else if (out.key.size() > limits.key_bytes_max + 1 ||
             out.end.size() > limits.key_bytes_max + 1) {
    return Status(Code::kInvalid,
                  fmt::format("a range bound has more than {} bytes", limits.key_bytes_max));
  }
  return out;
}

uint64_t txn_bytes(const kv::Txn& txn) {
  uint64_t bytes = 0;
  for (const kv::Compare& c : txn.compares)
    bytes += c.range.key.size() + c.range.end.size() + c.value.size() + 32;
  for (const auto* ops : {&txn.then_ops, &txn.else_ops}) {
    for (const kv::Op& op : *ops)
      bytes += op.range.key.size() + op.range.end.size() + op.value.size() + 32;
  }
  return bytes;
}

Result<kv::Txn> txn_from_abi(const kvs_txn& txn, const EngineLimits& limits) {
  kv::Txn out;
  if (txn.compare_count > limits.txn_ops_max) {
    return Status(Code::kInvalid, fmt::format("{} compares, the limit is {}", txn.compare_count,
                                              limits.txn_ops_max));
  }
  for (uint32_t i = 0; i < txn.compare_count; ++i) {
    Result<kv::Compare> compare = compare_from_abi(txn.compares[i], limits);
    if (!compare) return compare.status();
    out.compares.push_back(std::move(*compare));
  }
  if (Status s = ops_from_abi(txn.then_ops, txn.then_count, limits, &out.then_ops); !s) return s;
  if (Status s = ops_from_abi(txn.else_ops, txn.else_count, limits, &out.else_ops); !s) return s;
  // A single value of kPartBytes always passes: the bound is for what is written around and beside
  // it.
  constexpr uint64_t kSlack = 64 << 10;
  if (txn_bytes(out) > limits.txn_bytes_max + kSlack) {
    return Status(Code::kInvalid,
                  fmt::format("the transaction holds more than {} bytes; large values are uploaded",
                              limits.txn_bytes_max));
  }
  return out;
}

kvs_item item_to_abi(const kv::ItemView& item) {
  kvs_item out{};
  out.key = plugin::to_slice(item.key);
  out.value = plugin::to_slice(item.value);
  out.create_revision = item.create_revision;
  out.mod_revision = item.mod_revision;
  out.version = item.version;
  out.lease = item.lease;
  out.ttl_ms = item.ttl_ms;
  out.value_bytes = item.value_bytes;
  return out;
}

ResultArrays::ResultArrays(const kv::CommandResult& result) {
  size_t total = 0;
  for (const kv::OpResult& op : result.ops) total += op.items.size();
  items_.reserve(total);  // the ops point into it
  ops_.reserve(result.ops.size());
  for (const kv::OpResult& op : result.ops) {
    kvs_op_result out{};
    out.kind = static_cast<uint32_t>(op.kind);
    out.flags = op.flags;
    out.items = items_.data() + items_.size();
    out.item_count = op.items.size();
    out.count = op.count;
    for (const kv::Item& item : op.items) {
      kvs_item i{};
      i.key = plugin::to_slice(item.key);
      i.value = plugin::to_slice(item.value);
      i.create_revision = item.create_revision;
      i.mod_revision = item.mod_revision;
      i.version = item.version;
      i.lease = item.lease;
      i.ttl_ms = item.ttl_ms;
      i.value_bytes = item.value_bytes;
      items_.push_back(i);
    }
    ops_.push_back(out);
  }
}

}  // namespace kvstore::node::runtime
