#include "kv/requests.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/mutation.hpp"
#include "kv/command_codec.hpp"
#include "kv/range.hpp"

namespace kvstore::kv {
namespace {

// How many of the oldest answers are looked up at a time.
constexpr uint64_t kAgesAhead = 64;

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
  oldest_.clear();
  first_ = next_ = 1;
  ScanOptions options;
  options.space = kSpaceSystem;
  options.lower = kRequestAgePrefix;
  options.upper = prefix_successor(kRequestAgePrefix);
  options.keys_only = true;
  Status failed;
  for (const bool newest : {false, true}) {
    options.reverse = newest;
    Status scanned = view.scan(options, [&](Bytes key, Bytes) {
      auto number = parse_request_age_key(key);
      if (!number) {
        failed = number.status();
      } else {
        (newest ? next_ : first_) = *number + (newest ? 1 : 0);
      }
      return false;
    });
    if (!scanned) return scanned;
    if (!failed) return failed;
  }
  begin_batch();
  return Status();
}

void Requests::begin_batch() {
  named_.clear();
  batch_ages_.clear();
  batch_first_ = next_;
}

void Requests::name(const RequestId& request) {
  named_.try_emplace(request_key(request.principal, request.id));
}

Status Requests::fetch() {
  if (named_.empty() || KVS_MUTATED(kRequestsForgotten)) return Status();
  std::vector<Bytes> keys;
  std::vector<Found*> found;
  keys.reserve(named_.size());
  found.reserve(named_.size());
  for (auto& [key, slot] : named_) {
    keys.push_back(key);
    found.push_back(&slot);
  }
  return store_.get_many(kSpaceSystem, keys, [&](size_t i, bool present, Bytes bytes) {
    found[i]->present = present;
    found[i]->stored.assign(bytes);
  });
}

Result<bool> Requests::answer(const Txn& txn, CommandResult* result) const {
  const auto it = named_.find(request_key(txn.request->principal, txn.request->id));
  KVS_ASSERT(it != named_.end());
  if (!it->second.present) return false;
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

Status Requests::remove_old(uint64_t now_ms, uint64_t room, std::vector<WriteOp>* ops) {
  for (uint64_t removed = 0; removed < kRequestsRemovedMax && count() > 1; removed++) {
    if (Status s = look_ahead(); !s) return s;
    const RequestAge& oldest = oldest_.front();
    const bool too_old = now_ms - std::min(now_ms, oldest.time_ms) >= limits_.keep_ms;
    if (!too_old && count() + room <= limits_.records_max) return Status();
    if (auto named = named_.find(oldest.key); named != named_.end()) named->second.present = false;
    ops->push_back({WriteOp::Kind::kDelete, kSpaceSystem, oldest.key, {}});
    ops->push_back({WriteOp::Kind::kDelete, kSpaceSystem, request_age_key(first_), {}});
    oldest_.pop_front();
    first_++;
  }
  return Status();
}

void Requests::keep(const Txn& txn, const CommandResult& result, uint64_t now_ms,
                    std::vector<WriteOp>* ops) {
  RequestAge age{now_ms, request_key(txn.request->principal, txn.request->id)};
  const std::string encoded = encode_kept(branch_of(txn, result), result);
  Found& found = named_[age.key];
  found.present = true;
  found.stored = encode_request({txn.request->fingerprint, encoded});
  ops->push_back({WriteOp::Kind::kPut, kSpaceSystem, age.key, found.stored});
  ops->push_back(
      {WriteOp::Kind::kPut, kSpaceSystem, request_age_key(next_), encode_request_age(age)});
  batch_ages_.push_back(std::move(age));
  next_++;
}

// Makes sure that the oldest answer is in oldest_.
Status Requests::look_ahead() {
  if (!oldest_.empty()) return Status();
  const uint64_t to = std::min(first_ + kAgesAhead, next_);
  const uint64_t stored_to = std::clamp(batch_first_, first_, to);
  if (Status s = read_ages(first_, stored_to); !s) return s;
  for (uint64_t number = stored_to; number < to; number++)
    oldest_.push_back(batch_ages_[number - batch_first_]);
  return Status();
}

Status Requests::read_ages(uint64_t from, uint64_t to) {
  if (from == to) return Status();
  std::vector<std::string> keys;
  for (uint64_t number = from; number < to; number++) keys.push_back(request_age_key(number));
  const std::vector<Bytes> views(keys.begin(), keys.end());
  Status bad;
  Status read = store_.get_many(kSpaceSystem, views, [&](size_t, bool present, Bytes bytes) {
    if (!bad.is_ok()) return;
    if (!present) {
      bad = Status(Code::kCorrupt, "the ages of requests have a gap");
      return;
    }
    auto age = decode_request_age(bytes);
    if (age) {
      oldest_.push_back(std::move(*age));
    } else {
      bad = age.status();
    }
  });
  return read.is_ok() ? bad : read;
}

}  // namespace kvstore::kv
