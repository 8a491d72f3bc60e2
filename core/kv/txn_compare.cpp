// The compares of a transaction, and walking ranges as the transaction sees them.
#include <algorithm>

#include <fmt/format.h>

#include "base/mutation.hpp"
#include "kv/txn_executor.hpp"

namespace kvstore::kv {
namespace {

bool holds_for(Compare::Op op, int order) {
  switch (op) {
    case Compare::Op::kEq:
      return order == 0;
    case Compare::Op::kNe:
      return order != 0;
    case Compare::Op::kLt:
      return order < 0;
    case Compare::Op::kGt:
      return order > 0;
  }
  return false;
}

int order_of(uint64_t a, uint64_t b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

uint64_t number_of(Compare::Target target, const Record& record) {
  switch (target) {
    case Compare::Target::kModRevision:
      return record.mod_revision;
    case Compare::Target::kCreateRevision:
      return record.create_revision;
    case Compare::Target::kVersion:
      return record.version;
    case Compare::Target::kLease:
      return record.granted_lease();
    case Compare::Target::kValue:
      break;
  }
  return 0;
}

}  // namespace

bool TxnExecutor::compare_all(const std::vector<Compare>& compares, const uint32_t* slots,
                              bool* holds) {
  *holds = true;
  if (KVS_MUTATED(kCompareAlwaysHolds)) return true;
  for (size_t i = 0; i < compares.size() && *holds; i++) {
    if (!compare_one(compares[i], slots[i], holds)) return false;
  }
  return true;
}

bool TxnExecutor::compare_one(const Compare& compare, uint32_t number, bool* holds) {
  if (number != kNoSlot) {
    const Slot& slot = batch_.slot(number);
    if (slot.present && compare.target == Compare::Target::kValue) {
      if (Status s = batch_.load(number); !s) return fail(s);
    }
    if (slot.present) return compare_present(compare, slot.record, holds);
    *holds = compare.target == Compare::Target::kValue
                 ? compare.op == Compare::Op::kNe
                 : holds_for(compare.op, order_of(0, compare.number));
    return true;
  }
  if (Status s = batch_.flush(); !s) return fail(s);
  *holds = true;
  return walk(KeyInterval(compare.range), false, false, [&](Bytes, const Record& record) {
    return compare_present(compare, record, holds) && *holds;
  });
}

bool TxnExecutor::compare_present(const Compare& compare, const Record& record, bool* holds) {
  int order = 0;
  if (compare.target != Compare::Target::kValue) {
    order = order_of(number_of(compare.target, record), compare.number);
  } else if (!record.in_parts()) {
    order = record.value.compare(compare.value);
  } else if (!compare_parts(compare.value, record, &order)) {
    return false;
  }
  *holds = holds_for(compare.op, order);
  return true;
}

// Compares the stored parts, one at a time, until the order is known.
bool TxnExecutor::compare_parts(Bytes value, const Record& record, int* order) {
  if (Status s = batch_.flush(); !s) return fail(s);
  uint64_t parts = part_count(record.value_bytes);
  *order = 0;
  for (uint64_t part = 0; part < parts && *order == 0; part++) {
    std::string key = part_key(record.upload_id, static_cast<uint32_t>(part));
    Bytes keys[] = {key};
    bool intact = false;
    Status s = batch_.store().get_many(kSpaceParts, keys, [&](size_t, bool found, Bytes bytes) {
      intact = found && bytes.size() == part_size(record.value_bytes, part);
      Bytes piece = value.substr(0, bytes.size());
      *order = bytes.compare(piece);
      value.remove_prefix(piece.size());
    });
    if (!s) return fail(s);
    if (!intact)
      return fail(Status(Code::kCorrupt, fmt::format("part {} of upload {:016x} is missing or cut",
                                                     part, record.upload_id)));
  }
  if (*order == 0 && !value.empty()) *order = -1;
  return true;
}

std::vector<const Slot*> TxnExecutor::changed_slots(const KeyInterval& interval,
                                                    bool reverse) const {
  std::vector<const Slot*> slots;
  for (const Undo& undo : undo_) {
    const Slot& slot = batch_.slot(undo.slot);
    if (interval.contains(slot.key)) slots.push_back(&slot);
  }
  std::sort(slots.begin(), slots.end(), [reverse](const Slot* a, const Slot* b) {
    return reverse ? a->key > b->key : a->key < b->key;
  });
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  return slots;
}

bool TxnExecutor::is_deleted(Bytes key) const {
  return std::any_of(deleted_.begin(), deleted_.end(),
                     [key](const KeyInterval& interval) { return interval.contains(key); });
}

// The same on every node: it depends on the store's keys and the transaction alone.
bool TxnExecutor::count_visit() {
  if (++visits_ <= kTxnVisitsMax) return true;
  return reject(Code::kInvalid,
                fmt::format("a transaction looks at {} keys in its ranges at most: narrow them, or "
                            "read or count them outside of it",
                            kTxnVisitsMax));
}

bool TxnExecutor::walk(const KeyInterval& interval, bool reverse, bool keys_only, Visit visit) {
  if (interval.empty()) return true;
  auto view = batch_.view();
  if (!view) return fail(view.status());
  std::vector<const Slot*> changed = changed_slots(interval, reverse);
  auto next = changed.begin();
  bool wanted = true;
  auto take_changed = [&] {
    const Slot& slot = **next++;
    if (slot.present) wanted = count_visit() && visit(slot.key, slot.record);
  };
  ScanOptions options{kSpaceUser, interval.lower, interval.upper, reverse, keys_only};
  Status scanned = (*view)->scan(options, [&](Bytes key, Bytes value) {
    auto comes_first = [&] { return reverse ? (*next)->key > key : (*next)->key < key; };
    while (wanted && next != changed.end() && comes_first()) take_changed();
    if (!wanted) return false;
    if (next != changed.end() && (*next)->key == key) {
      take_changed();
      return wanted;
    }
    if (!count_visit()) return wanted = false;
    if (is_deleted(key)) return true;
    if (keys_only) return wanted = visit(key, Record());
    auto record = decode_record_of(key, value);
    if (!record) return fail(record.status());
    return wanted = visit(key, *record);
  });
  if (failed_.is_ok() && !scanned) return fail(scanned);
  while (going() && wanted && next != changed.end()) take_changed();
  return going();
}

}  // namespace kvstore::kv
