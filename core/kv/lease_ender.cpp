#include "kv/lease_ender.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/mutation.hpp"

namespace kvstore::kv {

Status LeaseEnder::run(const LeaseEnd& end, CommandResult* result) {
  if (end.leases.empty() || end.leases.size() > kLeaseEndMax) {
    result->code = Code::kInvalid;
    result->message =
        fmt::format("{} leases are named, not 1..{}", end.leases.size(), kLeaseEndMax);
    return Status();
  }
  const std::vector<uint64_t> ids = living(end);
  if (ids.empty()) {
    const Status none = lease_not_found(end.leases.front().id);
    result->code = none.code();
    result->message = none.message();
    return Status();
  }
  // What earlier entries changed must be in the view, and in a write of its own mark.
  if (Status s = batch_.flush(); !s) return s;
  Piece piece;
  size_t ended = 0;
  bool all = true;
  for (; all && ended < ids.size(); ended += all ? 1 : 0) {
    if (Status s = take_keys(ids[ended], &piece, &all); !s) return s;
  }
  OpResult out;
  out.kind = Op::Kind::kDelete;
  out.count = piece.deletes.size();
  out.more = !all;
  if (!piece.deletes.empty()) {
    Txn txn;
    txn.then_ops = std::move(piece.deletes);
    if (Status s = txns_.run(txn, piece.slots.data(), result); !s) return s;
    KVS_ASSERT(result->code == Code::kOk);
  }
  for (size_t i = 0; i < ended; i++) leases_.remove(ids[i], &batch_.ops());
  for (size_t i = ended; i < ids.size(); i++) leases_.mark_ending(ids[i], &batch_.ops());
  result->succeeded = true;
  result->ops = {out};
  return Status();
}

// The named leases that are there, each once.
std::vector<uint64_t> LeaseEnder::living(const LeaseEnd& end) const {
  std::vector<uint64_t> ids;
  for (const LeaseRef& ref : end.leases) {
    const LeaseRecord* lease = leases_.find(ref.id);
    if (lease == nullptr) continue;
    const bool meant = ref.generation == 0 || ref.generation == lease->generation;
    if (!meant && !KVS_MUTATED(kLeaseEndsAnyGeneration)) continue;
    if (std::find(ids.begin(), ids.end(), ref.id) == ids.end()) ids.push_back(ref.id);
  }
  return ids;
}

// Adds the keys of a lease until the piece is full; *all: there are no others.
Status LeaseEnder::take_keys(uint64_t id, Piece* piece, bool* all) {
  auto view = batch_.view();
  if (!view) return view.status();
  ScanOptions options;
  options.space = kSpaceSystem;
  options.lower = lease_keys_begin(id);
  options.upper = lease_keys_end(id);
  options.keys_only = true;
  const size_t wanted = kLeaseEndKeysMax - std::min(piece->deletes.size(), kLeaseEndKeysMax) + 1;
  std::vector<std::string> found;
  Status scanned = (*view)->scan(options, [&](Bytes key, Bytes) {
    found.emplace_back(key_of_lease_index(key));
    return found.size() < wanted;
  });
  if (!scanned) return scanned;
  for (std::string& key : found) {
    *all = !piece->full();
    if (!*all) return Status();
    if (Status s = take_key(id, keys_.emplace_back(std::move(key)), piece); !s) return s;
  }
  return Status();
}

Status LeaseEnder::take_key(uint64_t id, const std::string& key, Piece* piece) {
  auto view = batch_.view();
  if (!view) return view.status();
  Result<uint32_t> slot = Status(Code::kCorrupt, "the key of a lease does not exist");
  Status read = (*view)->get(kSpaceUser, key, [&](Bytes stored) {
    slot = batch_.adopt(key, stored);
    piece->bytes += key.size() + stored.size();
  });
  if (!read && read.code() != Code::kNotFound) return read;
  if (!slot) return slot.status();
  if (batch_.slot(*slot).record.lease != id)
    return Status(Code::kCorrupt, fmt::format("a key of lease {} has another lease", id));
  Op& op = piece->deletes.emplace_back();
  op.kind = Op::Kind::kDelete;
  op.range.key = key;
  piece->slots.push_back(*slot);
  return Status();
}

}  // namespace kvstore::kv
