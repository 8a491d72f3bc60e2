#include "kv/leases.hpp"

#include <utility>

#include <fmt/format.h>

#include "kv/range.hpp"
#include "kv/validate.hpp"

namespace kvstore::kv {
namespace {

// Changes that nobody took, beside one for each lease: then they become a list of all leases.
constexpr size_t kChangesSlack = 4096;
constexpr uint64_t kKeysReadBytesMax = 1 << 20;
constexpr Bytes kNoLease = "there is no lease ";

LeaseChange to_change(uint64_t id, const LeaseRecord& lease) {
  return {id, lease.generation, lease.ttl_ms, lease.ending};
}

constexpr Bytes kTooMany = "too many leases: ";

Status too_many() {
  return Status(Code::kBusy, fmt::format("{}there are {} leases and keys with a ttl already",
                                         kTooMany, kLeasesMax));
}

WriteOp put(std::string key, std::string value) {
  return {WriteOp::Kind::kPut, kSpaceSystem, std::move(key), std::move(value)};
}

WriteOp erase(std::string key) {
  return {WriteOp::Kind::kDelete, kSpaceSystem, std::move(key), {}};
}

}  // namespace

Status Leases::load(View& view) {
  leases_.clear();
  roll_back();
  ScanOptions options;
  options.space = kSpaceSystem;
  options.lower = kLeasePrefix;
  options.upper = prefix_successor(kLeasePrefix);
  Status failed;
  Status scanned = view.scan(options, [&](Bytes key, Bytes value) {
    auto id = parse_lease_key(key);
    auto record = decode_lease(value);
    if (!id) failed = id.status();
    if (!record) failed = record.status();
    if (failed.is_ok()) leases_[*id] = *record;
    return failed.is_ok();
  });
  changes_ = {true, {}};
  for (const auto& [id, lease] : leases_) changes_.changes.push_back(to_change(id, lease));
  return scanned.is_ok() ? failed : scanned;
}

const LeaseRecord* Leases::find(uint64_t id) const {
  auto it = leases_.find(id);
  return it == leases_.end() ? nullptr : &it->second;
}

Status Leases::grant(const LeaseGrant& grant, uint64_t generation, std::vector<WriteOp>* ops) {
  if (grant.id == 0 || grant.id > kLeaseIdMax)
    return Status(Code::kInvalid,
                  fmt::format("lease id {} is not in 1..{}", grant.id, kLeaseIdMax));
  if (Status s = validate_ttl(grant.ttl_ms); !s) return s;
  if (find(grant.id) != nullptr)
    return Status(Code::kConflict, fmt::format("lease {} exists already", grant.id));
  if (leases_.size() >= kLeasesMax) return too_many();
  const LeaseRecord lease{grant.ttl_ms, generation, false};
  leases_[grant.id] = lease;
  ops->push_back(put(lease_key(grant.id), encode_lease(lease)));
  note(to_change(grant.id, lease));
  return Status();
}

void Leases::remove(uint64_t id, std::vector<WriteOp>* ops) {
  if (leases_.erase(id) == 0) return;
  ops->push_back(erase(lease_key(id)));
  note({id, 0, 0, false});
}

void Leases::mark_ending(uint64_t id, std::vector<WriteOp>* ops) {
  auto it = leases_.find(id);
  if (it == leases_.end()) return;
  if (!it->second.ending) {
    it->second.ending = true;
    ops->push_back(put(lease_key(id), encode_lease(it->second)));
  }
  // Each time: the command has to be repeated once more.
  note(to_change(id, it->second));
}

Status Leases::attach(const Op& op, uint64_t revision, Record* record, std::vector<WriteOp>* ops) {
  if (op.ttl_ms != 0) {
    if (leases_.size() + made_ - gone_ >= kLeasesMax) return too_many();
    record->lease = own_lease_id(revision, made_++);
    record->ttl_ms = op.ttl_ms;
    const LeaseRecord lease{op.ttl_ms, revision, false};
    ops->push_back(put(lease_key(record->lease), encode_lease(lease)));
    pending_.push_back(to_change(record->lease, lease));
  } else if (op.lease != 0) {
    const LeaseRecord* lease = find(op.lease);
    if (lease == nullptr || lease->ending) return lease_not_found(op.lease);
    record->lease = op.lease;
  } else {
    return Status();
  }
  ops->push_back(put(lease_index_key(record->lease, op.range.key), {}));
  return Status();
}

void Leases::detach(Bytes key, const Record& record, std::vector<WriteOp>* ops) {
  if (record.lease == 0) return;
  ops->push_back(erase(lease_index_key(record.lease, key)));
  if (!is_own_lease(record.lease)) return;
  ops->push_back(erase(lease_key(record.lease)));
  pending_.push_back({record.lease, 0, 0, false});
  gone_++;
}

void Leases::commit() {
  for (const LeaseChange& change : pending_) {
    if (change.ttl_ms == 0)
      leases_.erase(change.id);
    else
      leases_[change.id] = {change.ttl_ms, change.generation, change.ending};
    note(change);
  }
  roll_back();
}

void Leases::roll_back() {
  pending_.clear();
  made_ = gone_ = 0;
}

LeaseChanges Leases::take_changes() {
  return std::exchange(changes_, {});
}

Status lease_not_found(uint64_t id) {
  return Status(Code::kNotFound, fmt::format("{}{}", kNoLease, id));
}

bool is_lease_not_found(Code code, Bytes message) {
  return code == Code::kNotFound && message.starts_with(kNoLease);
}

bool is_too_many_leases(Code code, Bytes message) {
  return code == Code::kBusy && message.starts_with(kTooMany);
}

Result<LeaseKeys> read_lease_keys(View& view, uint64_t id, uint64_t limit) {
  ScanOptions options;
  options.space = kSpaceSystem;
  options.lower = lease_keys_begin(id);
  options.upper = lease_keys_end(id);
  options.keys_only = true;
  LeaseKeys out;
  uint64_t bytes = 0;
  Status scanned = view.scan(options, [&](Bytes index_key, Bytes) {
    const Bytes key = key_of_lease_index(index_key);
    bytes += key.size();
    out.more = out.keys.size() == limit || bytes > kKeysReadBytesMax;
    if (!out.more) out.keys.emplace_back(key);
    return !out.more;
  });
  if (!scanned) return scanned;
  return out;
}

void Leases::note(const LeaseChange& change) {
  if (changes_.changes.size() >= leases_.size() + kChangesSlack) {
    changes_ = {true, {}};
    for (const auto& [id, lease] : leases_) changes_.changes.push_back(to_change(id, lease));
    return;
  }
  changes_.changes.push_back(change);
}

}  // namespace kvstore::kv
