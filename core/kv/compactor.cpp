#include "kv/compactor.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/mutation.hpp"
#include "kv/history.hpp"

namespace kvstore::kv {
namespace {

// Keys of history entries that one Compact removes, in bytes: with long keys fewer changes go.
constexpr uint64_t kRemovedKeyBytesMax = 4 << 20;

}  // namespace

Status Compactor::run(const Compact& compact, CommandResult* result) {
  const uint64_t current = batch_.machine().revision;
  if (compact.revision > current) {
    result->code = Code::kInvalid;
    result->message = fmt::format("revision {} is in the future: the newest one is {}",
                                  compact.revision, current);
    return Status();
  }
  if (compact.changes_max == 0 || compact.changes_max > kCompactChangesMax) {
    result->code = Code::kInvalid;
    result->message =
        fmt::format("changes_max is {}, not 1..{}", compact.changes_max, kCompactChangesMax);
    return Status();
  }
  // What earlier entries changed must be in the view, and in a write of its own mark.
  if (Status s = batch_.flush(); !s) return s;
  MachineRecord& machine = batch_.machine();
  machine.compacted_revision = std::max(machine.compacted_revision, compact.revision);
  OpResult& out = result->ops.emplace_back();
  out.kind = Op::Kind::kDelete;
  result->succeeded = true;
  if (machine.oldest_change > machine.compacted_revision) return Status();
  return remove(compact.changes_max, &out);
}

Status Compactor::remove(uint64_t changes_max, OpResult* out) {
  auto view = batch_.view();
  if (!view) return view.status();
  MachineRecord& machine = batch_.machine();
  std::vector<WriteOp>& ops = batch_.ops();
  ScanOptions options;
  options.space = kSpaceChanges;
  options.lower = change_key({machine.oldest_change, 0});
  options.upper =
      change_key({machine.compacted_revision + (KVS_MUTATED(kCompactTooMuch) ? 2 : 1), 0});
  std::string end = options.upper;
  uint64_t next_oldest = machine.compacted_revision + 1;
  uint64_t key_bytes = 0;
  Status bad;
  Status scanned = (*view)->scan(options, [&](Bytes key, Bytes value) {
    auto position = parse_change_key(key);
    auto change = decode_change(value);
    if (!position || !change) {
      bad = position ? change.status() : position.status();
      return false;
    }
    if (out->count == changes_max || key_bytes >= kRemovedKeyBytesMax) {
      out->more = true;
      end.assign(key);
      next_oldest = position->revision;
      return false;
    }
    out->count++;
    key_bytes += change->key.size();
    machine.history_bytes -= std::min(machine.history_bytes, change_cost(*change));
    if (change->had_before)
      ops.push_back({WriteOp::Kind::kDelete,
                     kSpaceHistory,
                     history_key(change->key, position->revision),
                     {}});
    if (change->before_upload != 0) {
      remove_parts(change->before_upload, &ops);
      uploads_.set_in_use(change->before_upload, false);
    }
    return true;
  });
  if (!scanned) return scanned;
  if (!bad.is_ok()) return bad;
  if (out->count != 0)
    ops.push_back({WriteOp::Kind::kDeleteRange, kSpaceChanges, options.lower, std::move(end)});
  machine.oldest_change = next_oldest;
  return Status();
}

}  // namespace kvstore::kv
