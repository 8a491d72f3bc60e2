#include "fake_txn.hpp"

#include <algorithm>

#include <kvstore/sdk/slice.hpp>

namespace kvstore::conformance {
namespace {

bool holds(uint32_t op, int order) {
  switch (op) {
    case KVS_CMP_EQ:
      return order == 0;
    case KVS_CMP_NE:
      return order != 0;
    case KVS_CMP_LT:
      return order < 0;
    default:
      return order > 0;
  }
}

bool holds(const kvs_compare& compare, const FakeItem* item) {
  if (compare.target == KVS_CMP_VALUE) {
    if (item == nullptr) return compare.op == KVS_CMP_NE;
    return holds(compare.op, item->value.compare(sdk::view(compare.value)));
  }
  uint64_t number = 0;
  if (item != nullptr && compare.target == KVS_CMP_MOD_REVISION) number = item->mod_revision;
  if (item != nullptr && compare.target == KVS_CMP_CREATE_REVISION) number = item->create_revision;
  if (item != nullptr && compare.target == KVS_CMP_LEASE) number = item->lease;
  if (item != nullptr && compare.target == KVS_CMP_VERSION) number = item->version;
  return holds(compare.op, number < compare.number ? -1 : number > compare.number ? 1 : 0);
}

bool holds(const kvs_compare& compare, const FakeItems& items) {
  if (compare.range.kind == KVS_RANGE_KEY) {
    const auto found = items.find(std::string(sdk::view(compare.range.key)));
    return holds(compare, found == items.end() ? nullptr : found->second.get());
  }
  return std::all_of(items.begin(), items.end(), [&](const auto& entry) {
    return !in_range(compare.range, entry.first) || holds(compare, entry.second.get());
  });
}

}  // namespace

kvs_item fake_item(const std::string& key, const FakeItem& item, bool with_value) {
  kvs_item out{};
  out.key = sdk::slice(key);
  if (with_value && item.value.size() <= kFakePartBytes) out.value = sdk::slice(item.value);
  out.create_revision = item.create_revision;
  out.mod_revision = item.mod_revision;
  out.version = item.version;
  out.value_bytes = item.value.size();
  out.lease = item.lease;
  out.ttl_ms = item.ttl_ms;
  return out;
}

bool in_range(const kvs_range& range, const std::string& key) {
  const std::string_view k = sdk::view(range.key);
  switch (range.kind) {
    case KVS_RANGE_KEY:
      return key == k;
    case KVS_RANGE_UNTIL:
      return key >= k && key < sdk::view(range.end);
    case KVS_RANGE_PREFIX:
      return std::string_view(key).starts_with(k);
    case KVS_RANGE_FROM:
      return key >= k;
    default:
      return true;
  }
}

std::string text_of(const kvs_txn& txn) {
  std::string out;
  const auto number = [&out](uint64_t n) { out.append(std::to_string(n)).push_back(' '); };
  const auto bytes = [&](const kvs_slice& slice) {
    number(slice.len);
    out.append(sdk::view(slice));
  };
  const auto range = [&](const kvs_range& r) {
    number(r.kind);
    bytes(r.key);
    bytes(r.end);
  };
  number(txn.compare_count);
  for (uint32_t i = 0; i < txn.compare_count; ++i) {
    const kvs_compare& compare = txn.compares[i];
    number(compare.target);
    number(compare.op);
    range(compare.range);
    bytes(compare.value);
    number(compare.number);
  }
  for (const auto& [ops, count] :
       {std::pair(txn.then_ops, txn.then_count), std::pair(txn.else_ops, txn.else_count)}) {
    number(count);
    for (uint32_t i = 0; i < count; ++i) {
      const kvs_op& op = ops[i];
      number(op.kind);
      number(op.flags);
      range(op.range);
      bytes(op.value);
      for (const uint64_t n : {op.lease, op.ttl_ms, op.limit}) number(n);
    }
  }
  return out;
}

OwnedTxn::OwnedTxn(const kvs_txn& from)
    : txn(from),
      compares_(from.compares, from.compares + from.compare_count),
      then_ops_(from.then_ops, from.then_ops + from.then_count),
      else_ops_(from.else_ops, from.else_ops + from.else_count) {
  for (kvs_compare& c : compares_) {
    own(&c.range);
    own(&c.value);
  }
  for (auto* ops : {&then_ops_, &else_ops_}) {
    for (kvs_op& op : *ops) {
      own(&op.range);
      own(&op.value);
    }
  }
  txn.compares = compares_.data();
  txn.then_ops = then_ops_.data();
  txn.else_ops = else_ops_.data();
}

void OwnedTxn::own(kvs_slice* slice) {
  bytes_.emplace_back(sdk::view(*slice));
  *slice = sdk::slice(bytes_.back());
}

void OwnedTxn::own(kvs_range* range) {
  own(&range->key);
  own(&range->end);
}

void FakeTxn::add(const std::string& key, std::shared_ptr<const FakeItem> item, bool with_value) {
  keys_.push_back(key);
  items_.back().push_back(fake_item(keys_.back(), *item, with_value));
  keep_.push_back(std::move(item));
}

void FakeTxn::run_op(const kvs_op& op, FakeItems* items, uint64_t revision) {
  kvs_op_result& r = results_.emplace_back();
  r.kind = op.kind;
  r.flags = op.flags;
  items_.emplace_back();
  std::vector<std::string> keys;
  for (const auto& entry : *items) {
    if (in_range(op.range, entry.first)) keys.push_back(entry.first);
  }
  if ((op.flags & KVS_OP_REVERSE) != 0) std::reverse(keys.begin(), keys.end());
  const bool count_only = (op.flags & KVS_OP_COUNT_ONLY) != 0;
  if (op.limit != 0 && !count_only) keys.resize(std::min<size_t>(keys.size(), op.limit));
  r.count = keys.size();
  const bool wanted = op.kind == KVS_OP_GET ? !count_only : (op.flags & KVS_OP_PREV) != 0;
  for (const std::string& key : keys) {
    if (wanted) add(key, items->at(key), (op.flags & KVS_OP_KEYS_ONLY) == 0);
    if (op.kind != KVS_OP_DELETE) continue;
    items->erase(key);
    changed_ = true;
  }
  if (op.kind == KVS_OP_PUT) {
    const std::string key(sdk::view(op.range.key));
    const auto before = items->find(key);
    auto item = std::make_shared<FakeItem>();
    item->value = op.upload != nullptr ? op.upload->bytes : std::string(sdk::view(op.value));
    item->mod_revision = item->create_revision = revision;
    item->version = 1;
    item->lease = op.lease;
    item->ttl_ms = op.ttl_ms;
    if (before != items->end()) {
      item->create_revision = before->second->create_revision;
      item->version = before->second->version + 1;
    }
    (*items)[key] = std::move(item);
    changed_ = true;
  }
  r.items = items_.back().data();
  r.item_count = items_.back().size();
}

void FakeTxn::run(const kvs_txn& txn, FakeItems* items, uint64_t* revision, kvs_result* result) {
  const bool all = std::all_of(txn.compares, txn.compares + txn.compare_count,
                               [&](const kvs_compare& c) { return holds(c, *items); });
  const kvs_op* ops = all ? txn.then_ops : txn.else_ops;
  const uint32_t count = all ? txn.then_count : txn.else_count;
  for (uint32_t i = 0; i < count; ++i) run_op(ops[i], items, *revision + 1);
  if (changed_) ++*revision;
  result->revision = *revision;
  result->committed = KVS_COMMITTED_YES;
  result->succeeded = all ? 1 : 0;
  result->ops = results_.data();
  result->op_count = count;
}

}  // namespace kvstore::conformance
