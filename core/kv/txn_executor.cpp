#include "kv/txn_executor.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/mutation.hpp"
#include "kv/history.hpp"
#include "kv/validate.hpp"

namespace kvstore::kv {
namespace {

// What an item costs besides its key and value.
constexpr uint64_t kItemBytes = 64;

bool is_single(const Range& range) {
  return range.kind == Range::Kind::kKey;
}

bool has_ranges(const std::vector<Op>& ops) {
  return std::any_of(ops.begin(), ops.end(), [](const Op& op) { return !is_single(op.range); });
}

// Puts and deletes move the stored version into the history.
bool wants_value(const Op& op) {
  return op.kind != Op::Kind::kGet || (op.flags & (kOpKeysOnly | kOpCountOnly)) == 0;
}

}  // namespace

void TxnExecutor::plan(const Txn& txn, Batch* batch, std::vector<uint32_t>* slots) {
  for (const Compare& c : txn.compares) {
    bool value = c.target == Compare::Target::kValue;
    slots->push_back(is_single(c.range) ? batch->add_key(c.range.key, value) : kNoSlot);
  }
  for (const std::vector<Op>* ops : {&txn.then_ops, &txn.else_ops}) {
    for (const Op& op : *ops)
      slots->push_back(is_single(op.range) ? batch->add_key(op.range.key, wants_value(op))
                                           : kNoSlot);
  }
}

Status TxnExecutor::run(const Txn& txn, const uint32_t* slots, CommandResult* result) {
  begin(txn);
  bool done = rejected_.is_ok() && execute(txn, slots, result);
  if (!failed_.is_ok()) return failed_;
  if (done) {
    commit();
  } else {
    roll_back();
    result->code = rejected_.code();
    result->message = rejected_.message();
    result->succeeded = false;
    result->ops.clear();
  }
  batch_.drop_loaded();
  // Whatever uploads it named and did not use are of no use to anybody any more.
  drop_uploads(txn);
  result->revision = batch_.machine().revision;
  return Status();
}

void TxnExecutor::drop_uploads(const Txn& txn) {
  for (const std::vector<Op>* ops : {&txn.then_ops, &txn.else_ops}) {
    for (const Op& op : *ops) {
      if (op.upload_id != 0) uploads_.remove(op.upload_id, &batch_.ops());
    }
  }
}

void TxnExecutor::begin(const Txn& txn) {
  revision_ = batch_.machine().revision + 1;
  changed_ = false;
  result_bytes_ = 0;
  visits_ = 0;
  history_bytes_ = 0;
  serial_++;
  undo_.clear();
  superseded_.clear();
  deleted_.clear();
  consumed_.clear();
  released_.clear();
  failed_ = Status();
  rejected_ = validate_txn(txn);
  ops_begin_ = batch_.ops().size();
}

bool TxnExecutor::execute(const Txn& txn, const uint32_t* slots, CommandResult* result) {
  if (!compare_all(txn.compares, slots, &result->succeeded)) return false;
  const std::vector<Op>& ops = result->succeeded ? txn.then_ops : txn.else_ops;
  slots += txn.compares.size() + (result->succeeded ? 0 : txn.then_ops.size());
  if (!check_uploads(ops)) return false;
  if (has_ranges(ops)) {
    if (Status s = batch_.flush(); !s) return fail(s);
  }
  ops_begin_ = batch_.ops().size();
  result->ops.resize(ops.size());
  for (size_t i = 0; i < ops.size(); i++) {
    if (!run_op(ops[i], slots[i], &result->ops[i])) return false;
  }
  return true;
}

bool TxnExecutor::fail(Status status) {
  failed_ = std::move(status);
  return false;
}

bool TxnExecutor::reject(Code code, std::string message) {
  rejected_ = Status(code, std::move(message));
  return false;
}

bool TxnExecutor::check_uploads(const std::vector<Op>& ops) {
  for (const Op& op : ops) {
    if (op.upload_id == 0) continue;
    const UploadRecord* upload = uploads_.find(op.upload_id);
    if (upload == nullptr)
      return reject(Code::kNotFound, fmt::format("there is no upload {:016x}", op.upload_id));
    if (upload->bytes != op.upload_bytes)
      return reject(Code::kNotFound, fmt::format("upload {:016x} holds {} of {} bytes",
                                                 op.upload_id, upload->bytes, op.upload_bytes));
  }
  return true;
}

bool TxnExecutor::run_op(const Op& op, uint32_t slot, OpResult* out) {
  out->kind = op.kind;
  out->flags = op.flags;
  switch (op.kind) {
    case Op::Kind::kPut:
      return put(op, slot, out);
    case Op::Kind::kDelete:
      return slot == kNoSlot ? delete_range(op, out) : delete_key(op, slot, out);
    case Op::Kind::kGet:
      return get(op, slot, out);
  }
  return false;
}

bool TxnExecutor::put(const Op& op, uint32_t number, OpResult* out) {
  Slot& slot = batch_.slot(number);
  if (!change(number)) return false;
  if (slot.present && (op.flags & kOpPrev) != 0 && !add_item(slot.key, slot.record, op.flags, out))
    return false;
  Record record;
  record.create_revision = slot.present ? slot.record.create_revision : revision_;
  record.mod_revision = revision_;
  record.version = slot.present ? slot.record.version + 1 : 1;
  record.upload_id = op.upload_id;
  record.value = op.value;
  record.value_bytes = op.upload_id != 0 ? op.upload_bytes : op.value.size();
  if (slot.present) leases_.detach(slot.key, slot.record, &batch_.ops());
  if (Status s = leases_.attach(op, revision_, &record, &batch_.ops()); !s)
    return reject(s.code(), s.message());
  if (op.upload_id != 0) consumed_.push_back(op.upload_id);
  slot.present = true;
  slot.record = record;
  batch_.ops().push_back(
      {WriteOp::Kind::kPut, kSpaceUser, std::string(slot.key), encode_record(record)});
  out->count = 1;
  changed_ = true;
  return true;
}

bool TxnExecutor::delete_key(const Op& op, uint32_t number, OpResult* out) {
  Slot& slot = batch_.slot(number);
  if (!slot.present) return true;
  if (!change(number)) return false;
  if ((op.flags & kOpPrev) != 0 && !add_item(slot.key, slot.record, op.flags, out)) return false;
  release(slot.record);
  leases_.detach(slot.key, slot.record, &batch_.ops());
  slot.present = false;
  batch_.ops().push_back({WriteOp::Kind::kDelete, kSpaceUser, std::string(slot.key), {}});
  out->count = 1;
  changed_ = true;
  return true;
}

bool TxnExecutor::delete_range(const Op& op, OpResult* out) {
  KeyInterval interval(op.range);
  std::string rest;  // where a limit ended it
  bool done = walk(interval, false, false, [&](Bytes key, const Record& record) {
    if (op.limit != 0 && out->count == op.limit) {
      out->more = true;
      rest.assign(key);
      return false;
    }
    out->count++;
    return supersede_deleted(key, record) &&
           ((op.flags & kOpPrev) == 0 || add_item(key, record, op.flags, out));
  });
  if (!done) return false;
  if (out->count == 0) return true;
  if (out->more) interval.upper = std::move(rest);
  for (uint32_t i = 0; i < batch_.slot_count(); i++) {
    Slot& slot = batch_.slot(i);
    if (!slot.present || !interval.contains(slot.key)) continue;
    if (!change(i)) return false;
    slot.present = false;
  }
  batch_.ops().push_back({WriteOp::Kind::kDeleteRange, kSpaceUser, interval.lower, interval.upper});
  deleted_.push_back(std::move(interval));
  changed_ = true;
  return true;
}

bool TxnExecutor::get(const Op& op, uint32_t number, OpResult* out) {
  bool count_only = (op.flags & kOpCountOnly) != 0;
  if (number != kNoSlot) {
    const Slot& slot = batch_.slot(number);
    if (!slot.present) return true;
    out->count = 1;
    if (count_only) return true;
    if (Status s = batch_.load(number); !s) return fail(s);
    return add_item(slot.key, slot.record, op.flags, out);
  }
  bool reverse = (op.flags & kOpReverse) != 0;
  return walk(KeyInterval(op.range), reverse, count_only, [&](Bytes key, const Record& record) {
    if (!count_only && op.limit != 0 && out->count == op.limit) {
      out->more = true;
      return false;
    }
    out->count++;
    return count_only || add_item(key, record, op.flags, out);
  });
}

bool TxnExecutor::add_item(Bytes key, const Record& record, uint32_t flags, OpResult* out) {
  Bytes value = (flags & kOpKeysOnly) != 0 ? Bytes() : record.value;
  result_bytes_ += key.size() + value.size() + kItemBytes;
  if (result_bytes_ > kResultBytesMax)
    return reject(Code::kInvalid,
                  fmt::format("the results would take more than {} bytes", kResultBytesMax));
  out->items.push_back({std::string(key), std::string(value), record.create_revision,
                        record.mod_revision, record.version, record.granted_lease(),
                        record.value_bytes, record.ttl_ms});
  return true;
}

// Before a slot is changed: notes how it was, and the first time in the transaction also that its
// version is superseded.
bool TxnExecutor::change(uint32_t number) {
  Slot& slot = batch_.slot(number);
  const bool first = slot.changed_by != serial_;
  if (first) {
    if (Status s = batch_.load(number); !s) return fail(s);
  }
  undo_.push_back({number, slot.present, slot.pristine, slot.deferred, slot.record});
  if (first) {
    if (superseded_.size() == kTxnChangesMax) return reject_changes();
    Superseded& s = superseded_.emplace_back();
    s.slot = number;
    s.present = slot.present;
    s.from_slot = slot.present && slot.pristine;
    if (s.present && !s.from_slot) s.record = encode_record(slot.record);
    s.before_upload = slot.present ? slot.record.upload_id : 0;
    s.before_bytes = s.before_upload != 0 ? slot.record.value_bytes : 0;
  }
  slot.changed_by = serial_;
  slot.pristine = slot.deferred = false;
  return true;
}

// A range that is deleted has this key, as of now.
bool TxnExecutor::supersede_deleted(Bytes key, const Record& record) {
  release(record);
  leases_.detach(key, record, &batch_.ops());
  if (record.mod_revision == revision_) return true;  // change() noted what was before
  if (superseded_.size() == kTxnChangesMax) return reject_changes();
  Superseded& s = superseded_.emplace_back();
  s.slot = batch_.find_key(key);
  if (s.slot == kNoSlot)
    s.key.assign(key);
  else
    batch_.slot(s.slot).changed_by = serial_;
  s.present = true;
  s.record = encode_record(record);
  s.before_upload = record.upload_id;
  s.before_bytes = s.before_upload != 0 ? record.value_bytes : 0;
  history_bytes_ += key.size() + s.record.size();
  if (history_bytes_ <= kTxnHistoryBytesMax) return true;
  return reject(Code::kInvalid,
                fmt::format("the keys and values of the deleted range take more than {} bytes: "
                            "delete it piece by piece (limit)",
                            kTxnHistoryBytesMax));
}

bool TxnExecutor::reject_changes() {
  return reject(Code::kInvalid,
                fmt::format("the transaction would change more than {} keys: delete a range piece "
                            "by piece (limit)",
                            kTxnChangesMax));
}

// No version will ever refer to parts that came with this transaction and go with it.
void TxnExecutor::release(const Record& record) {
  if (!record.in_parts() || record.mod_revision != revision_) return;
  remove_parts(record.upload_id, &batch_.ops());
  released_.push_back(record.upload_id);
}

void TxnExecutor::commit() {
  if (changed_) batch_.machine().revision = revision_;
  uint32_t number = 0;
  for (Superseded& s : superseded_) {
    const bool has_after = s.slot != kNoSlot && batch_.slot(s.slot).present;
    if (s.present || has_after) write_history(number++, &s);
  }
  for (uint64_t id : consumed_) uploads_.consume(id, &batch_.ops());
  leases_.commit();
  for (uint64_t id : released_) uploads_.set_in_use(id, false);
}

void TxnExecutor::write_history(uint32_t number, Superseded* s) {
  std::vector<WriteOp>& ops = batch_.ops();
  Change change;
  change.key = s->key;
  if (s->slot != kNoSlot) {
    Slot& slot = batch_.slot(s->slot);
    change.key = slot.key;
    change.has_after = slot.present;
    if (s->from_slot) s->record = std::move(slot.stored);
  }
  change.had_before = s->present;
  change.before_upload = s->before_upload;
  change.before_bytes = s->before_bytes + s->record.size();
  ops.push_back(
      {WriteOp::Kind::kPut, kSpaceChanges, change_key({revision_, number}), encode_change(change)});
  batch_.machine().history_bytes += change_cost(change);
  if (s->present && (s->from_slot || !KVS_MUTATED(kHistoryForgotten)))
    ops.push_back({WriteOp::Kind::kPut, kSpaceHistory, history_key(change.key, revision_),
                   std::move(s->record)});
}

void TxnExecutor::roll_back() {
  leases_.roll_back();
  for (size_t i = undo_.size(); i-- > 0;) {
    Slot& slot = batch_.slot(undo_[i].slot);
    slot.present = undo_[i].present;
    slot.pristine = undo_[i].pristine;
    slot.deferred = undo_[i].deferred;
    slot.record = undo_[i].record;
  }
  std::vector<WriteOp>& ops = batch_.ops();
  if (ops.size() > ops_begin_)
    ops.erase(ops.begin() + static_cast<ptrdiff_t>(ops_begin_), ops.end());
}

}  // namespace kvstore::kv
