#include "kv/requests.hpp"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.hpp"
#include "base/codec.hpp"
#include "base/mutation.hpp"
#include "kv/command_codec.hpp"
#include "kv/range.hpp"

namespace kvstore::kv {
namespace {

// Only for an index in memory: nodes need not agree on it.
uint64_t hash_of(Bytes name) {
  return XXH3_64bits(name.data(), name.size());
}

// Neither runs into the other.
std::string name_of(Bytes principal, Bytes id) {
  std::string name;
  Encoder e(&name);
  e.bytes(principal);
  e.raw(id);
  return name;
}

// What an operation on one key says of it is known without the result.
bool names_key(const Op& op) {
  return op.range.kind == Range::Kind::kKey;
}

const std::vector<Op>& branch_of(const Txn& txn, const CommandResult& result) {
  return result.succeeded ? txn.then_ops : txn.else_ops;
}

enum class Detail { kAll, kNoValues, kNoItems };

uint64_t item_bytes(const std::vector<Op>& ops, const CommandResult& result, Detail detail) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < result.ops.size(); i++) {
    for (const Item& item : result.ops[i].items) {
      if (!names_key(ops[i])) bytes += item.key.size();
      if (detail == Detail::kAll) bytes += item.value.size();
    }
  }
  return bytes;
}

// The result as it is kept.
CommandResult kept_result(const std::vector<Op>& ops, const CommandResult& result, Detail detail) {
  CommandResult kept;
  kept.revision = result.revision;
  kept.succeeded = result.succeeded;
  kept.replayed = true;
  kept.shortened = detail != Detail::kAll;
  kept.ops.reserve(result.ops.size());
  for (size_t i = 0; i < result.ops.size(); i++) {
    const OpResult& op = result.ops[i];
    OpResult& out = kept.ops.emplace_back();
    out.kind = op.kind;
    out.flags = op.flags;
    out.count = op.count;
    out.more = op.more;
    if (detail == Detail::kNoItems) continue;
    for (const Item& item : op.items) {
      Item& copy = out.items.emplace_back(item);
      if (names_key(ops[i])) copy.key.clear();
      if (detail == Detail::kNoValues) copy.value.clear();
    }
  }
  return kept;
}

std::string encode_kept(const std::vector<Op>& ops, const CommandResult& result) {
  for (Detail detail : {Detail::kAll, Detail::kNoValues}) {
    // Large ones are not copied only to see that they are.
    if (item_bytes(ops, result, detail) > kRequestResultBytesMax) continue;
    std::string encoded = encode_result(kept_result(ops, result, detail));
    if (encoded.size() <= kRequestResultBytesMax) return encoded;
  }
  return encode_result(kept_result(ops, result, Detail::kNoItems));
}

}  // namespace

Requests::Requests(Store* store, const RequestLimits& limits) : store_(*store), limits_(limits) {
  KVS_ASSERT(limits.records_max >= 2);
}

Status Requests::load(View& view) {
  begin_batch();
  first_ = 1;
  kept_.clear();
  numbers_.clear();
  ScanOptions options;
  options.space = kSpaceSystem;
  options.lower = kRequestPrefix;
  options.upper = prefix_successor(kRequestPrefix);
  Status failed;
  const Status scanned = view.scan(options, [&](Bytes key, Bytes stored) {
    const auto number = parse_request_key(key);
    const auto record = decode_request(stored);
    failed = !number ? number.status() : !record ? record.status() : add(*number, *record);
    return failed.is_ok();
  });
  return scanned.is_ok() ? failed : scanned;
}

Status Requests::add(uint64_t number, const RequestRecord& record) {
  if (kept_.empty()) first_ = number;
  if (number != first_ + kept_.size())
    return Status(Code::kCorrupt, "the numbers of requests have a gap");
  const uint64_t hash = hash_of(name_of(record.principal, record.id));
  kept_.push_back({hash, record.time_ms});
  numbers_.emplace(hash, number);
  return Status();
}

void Requests::begin_batch() {
  named_.clear();
  found_.clear();
}

void Requests::name(const RequestId& request) {
  named_.try_emplace(name_of(request.principal, request.id));
}

Status Requests::fetch() {
  if (KVS_MUTATED(kRequestsForgotten)) return Status();
  std::vector<uint64_t> numbers;
  for (const auto& [name, slot] : named_) {
    const auto [from, to] = numbers_.equal_range(hash_of(name));
    for (auto it = from; it != to; ++it) numbers.push_back(it->second);
  }
  if (numbers.empty()) return Status();
  std::vector<std::string> keys;
  keys.reserve(numbers.size());
  for (const uint64_t number : numbers) keys.push_back(request_key(number));
  const std::vector<Bytes> views(keys.begin(), keys.end());
  Status failed;
  const Status read =
      store_.get_many(kSpaceSystem, views, [&](size_t i, bool present, Bytes bytes) {
        if (!failed.is_ok()) return;
        if (present) {
          take(numbers[i], bytes, &failed);
        } else {
          failed = Status(Code::kCorrupt, "the answer to a request is missing");
        }
      });
  return read.is_ok() ? failed : read;
}

// An answer that was read; it may be to another request whose id has the same hash.
void Requests::take(uint64_t number, Bytes stored, Status* failed) {
  const auto record = decode_request(stored);
  if (!record) {
    *failed = record.status();
    return;
  }
  const auto it = named_.find(name_of(record->principal, record->id));
  if (it == named_.end()) return;
  it->second = {number, std::string(stored)};
  found_.emplace(number, &it->second);
}

Result<bool> Requests::answer(const Txn& txn, CommandResult* result) const {
  const auto it = named_.find(name_of(txn.request->principal, txn.request->id));
  KVS_ASSERT(it != named_.end());
  if (it->second.number == 0) return false;
  auto record = decode_request(it->second.stored);
  if (!record) return record.status();
  if (record->fingerprint != txn.request->fingerprint && !KVS_MUTATED(kFingerprintIgnored)) {
    result->code = Code::kConflict;
    result->message = "the request id was used for another request";
    return true;
  }
  auto kept = decode_result(record->result);
  if (!kept) return Status(Code::kCorrupt, "request record: " + kept.status().message());
  *result = std::move(*kept);
  const std::vector<Op>& ops = branch_of(txn, *result);
  for (size_t i = 0; i < std::min(ops.size(), result->ops.size()); i++) {
    if (!names_key(ops[i])) continue;
    for (Item& item : result->ops[i].items) item.key = ops[i].range.key;
  }
  return true;
}

void Requests::remove_old(uint64_t now_ms, uint64_t room, std::vector<WriteOp>* ops) {
  for (uint64_t removed = 0; removed < kRequestsRemovedMax && count() > 1; removed++) {
    const Kept& oldest = kept_.front();
    const bool too_old = now_ms - std::min(now_ms, oldest.time_ms) >= limits_.keep_ms;
    if (!too_old && count() + room <= limits_.records_max) return;
    ops->push_back({WriteOp::Kind::kDelete, kSpaceSystem, request_key(first_), {}});
    const auto [from, to] = numbers_.equal_range(oldest.hash);
    numbers_.erase(std::find_if(from, to, [&](const auto& e) { return e.second == first_; }));
    if (auto found = found_.extract(first_)) found.mapped()->number = 0;
    kept_.pop_front();
    first_++;
  }
}

void Requests::keep(const Txn& txn, const CommandResult& result, uint64_t now_ms,
                    std::vector<WriteOp>* ops) {
  const RequestId& request = *txn.request;
  const uint64_t number = first_ + kept_.size();
  const std::string encoded = encode_kept(branch_of(txn, result), result);
  const RequestRecord record{now_ms, request.fingerprint, request.principal, request.id, encoded};
  const Status added = add(number, record);
  KVS_ASSERT(added.is_ok());
  Named& named = named_[name_of(request.principal, request.id)];
  named = {number, encode_request(record)};
  found_.emplace(number, &named);
  ops->push_back({WriteOp::Kind::kPut, kSpaceSystem, request_key(number), named.stored});
}

}  // namespace kvstore::kv
