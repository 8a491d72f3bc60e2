// The state machine once more, written for obviousness: what the random tests compare it with.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "kv/history.hpp"
#include "kv/lease_records.hpp"
#include "kv/requests.hpp"
#include "kv/validate.hpp"
#include "kv_testing.hpp"

namespace kvstore::kv::test {

struct ModelValue {
  std::shared_ptr<const std::string> data = std::make_shared<std::string>();  // whole
  const std::string& bytes() const { return *data; }
  uint64_t upload_id = 0;
  uint64_t create_revision = 0;
  uint64_t mod_revision = 0;
  uint64_t version = 0;
  uint64_t lease = 0;  // also a TTL's own
  uint64_t ttl_ms = 0;
  uint64_t granted_lease() const { return ttl_ms == 0 ? lease : 0; }
};

// One key that a revision changed.
struct ModelChange {
  uint64_t revision = 0;
  std::string key;
  std::optional<ModelValue> before;
  bool has_after = false;

  uint64_t cost() const {
    Change change;
    change.key = key;
    change.had_before = before.has_value();
    if (!before) return change_cost(change);
    Record record{before->create_revision,
                  before->mod_revision,
                  before->version,
                  before->lease,
                  before->bytes().size(),
                  before->upload_id,
                  before->upload_id == 0 ? Bytes(before->bytes()) : Bytes(),
                  before->ttl_ms};
    change.before_bytes = encode_record(record).size();
    if (before->upload_id != 0) change.before_bytes += before->bytes().size();
    return change_cost(change);
  }
};

struct ModelUpload {
  std::vector<std::string> parts;
  uint64_t last_time_ms = 0;
  uint64_t bytes() const {
    uint64_t sum = 0;
    for (const std::string& part : parts) sum += part.size();
    return sum;
  }
};

// The answer to a request, in the order in which they came.
struct ModelRequest {
  RequestId request;
  uint64_t time_ms = 0;
  CommandResult result;
};

class Model {
 public:
  explicit Model(const RequestLimits& limits = {}) : limits_(limits) {}

  CommandResult apply(const Command& command, uint64_t time_ms) {
    now_ms_ = std::max(now_ms_, time_ms);
    index_++;
    CommandResult result;
    auto* txn = std::get_if<Txn>(&command);
    if (txn != nullptr)
      result = txn->request ? apply_request(*txn) : apply_txn(*txn);
    else if (auto* part = std::get_if<UploadPart>(&command))
      result.code = add_part(*part);
    else if (auto* abort = std::get_if<UploadAbort>(&command))
      uploads.erase(abort->upload_id);
    else if (auto* sweep = std::get_if<SweepUploads>(&command))
      std::erase_if(uploads, [&](const auto& upload) {
        return upload.second.last_time_ms < sweep->idle_before_ms;
      });
    else if (auto* compact = std::get_if<Compact>(&command))
      result = apply_compact(*compact);
    else if (auto* grant = std::get_if<LeaseGrant>(&command))
      result.code = apply_grant(*grant);
    else if (auto* end = std::get_if<LeaseEnd>(&command))
      result = apply_end(*end);
    if (!result.replayed) result.revision = revision;
    const bool keep =
        txn != nullptr && txn->request && result.code == Code::kOk && !result.replayed;
    remove_old_requests(keep);
    if (keep) requests.push_back({*txn->request, now_ms_, result});
    past.resize(revision + 1, values);
    return result;
  }

  using Values = std::map<std::string, ModelValue>;
  Values values;
  std::map<uint64_t, ModelUpload> uploads;
  std::map<uint64_t, LeaseRecord> leases;  // and those of TTLs
  uint64_t revision = 0;
  uint64_t compacted = 0;
  std::deque<ModelChange> changes;  // not removed yet, in order
  std::deque<ModelRequest> requests;
  std::vector<Values> past = {Values()};  // by revision; never forgets

  static bool inside(const Range& range, const std::string& key) {
    switch (range.kind) {
      case Range::Kind::kKey:
        return key == range.key;
      case Range::Kind::kUntil:
        return key >= range.key && key < range.end;
      case Range::Kind::kPrefix:
        return key.substr(0, range.key.size()) == range.key;
      case Range::Kind::kFrom:
        return key >= range.key;
      case Range::Kind::kAll:
        return true;
    }
    return false;
  }

 private:
  struct Refused {
    Code code;
  };

  Code add_part(const UploadPart& part) {
    if (part.upload_id == 0 || part.bytes.empty() || part.bytes.size() > kPartBytes)
      return Code::kInvalid;
    ModelUpload* upload = uploads.count(part.upload_id) ? &uploads[part.upload_id] : nullptr;
    size_t have = upload == nullptr ? 0 : upload->parts.size();
    if (part.part < have) return Code::kOk;
    if (part.part > have) return Code::kInvalid;
    if (have > 0 && upload->parts.back().size() < kPartBytes) return Code::kInvalid;
    if (upload == nullptr && owned(part.upload_id)) return Code::kConflict;
    uploads[part.upload_id].parts.push_back(part.bytes);
    uploads[part.upload_id].last_time_ms = now_ms_;
    return Code::kOk;
  }

  bool owned(uint64_t id) const {
    for (const auto& [key, value] : values) {
      if (value.upload_id == id) return true;
    }
    return std::any_of(changes.begin(), changes.end(), [id](const ModelChange& change) {
      return change.before && change.before->upload_id == id;
    });
  }

  CommandResult apply_compact(const Compact& compact) {
    CommandResult result;
    if (compact.revision > revision || compact.changes_max == 0 ||
        compact.changes_max > kCompactChangesMax) {
      result.code = Code::kInvalid;
      return result;
    }
    result.succeeded = true;
    compacted = std::max(compacted, compact.revision);
    OpResult& out = result.ops.emplace_back();
    out.kind = Op::Kind::kDelete;
    while (!changes.empty() && changes.front().revision <= compacted) {
      if (out.count == compact.changes_max) {
        out.more = true;
        break;
      }
      out.count++;
      changes.pop_front();
    }
    return result;
  }

  template <typename T>
  static bool ordered(Compare::Op op, const T& a, const T& b) {
    switch (op) {
      case Compare::Op::kEq:
        return a == b;
      case Compare::Op::kNe:
        return a != b;
      case Compare::Op::kLt:
        return a < b;
      case Compare::Op::kGt:
        return a > b;
    }
    return false;
  }

  static bool holds_for(const Compare& c, const ModelValue& value) {
    switch (c.target) {
      case Compare::Target::kValue:
        return ordered(c.op, value.bytes(), c.value);
      case Compare::Target::kModRevision:
        return ordered(c.op, value.mod_revision, c.number);
      case Compare::Target::kCreateRevision:
        return ordered(c.op, value.create_revision, c.number);
      case Compare::Target::kVersion:
        return ordered(c.op, value.version, c.number);
      case Compare::Target::kLease:
        return ordered(c.op, value.granted_lease(), c.number);
    }
    return false;
  }

  bool holds(const Compare& c) const {
    bool any = false;
    for (const auto& [key, value] : values) {
      if (!inside(c.range, key)) continue;
      any = true;
      if (!holds_for(c, value)) return false;
    }
    if (any || c.range.kind != Range::Kind::kKey) return true;
    if (c.target == Compare::Target::kValue) return c.op == Compare::Op::kNe;
    return holds_for(c, ModelValue());
  }

  Code apply_grant(const LeaseGrant& grant) {
    if (grant.id == 0 || grant.id > kLeaseIdMax || !validate_ttl(grant.ttl_ms))
      return Code::kInvalid;
    if (leases.count(grant.id) != 0) return Code::kConflict;
    leases[grant.id] = {grant.ttl_ms, index_, false};
    return Code::kOk;
  }

  // All keys at once: the random logs have fewer than one piece.
  CommandResult apply_end(const LeaseEnd& end) {
    CommandResult result;
    result.code =
        end.leases.empty() || end.leases.size() > kLeaseEndMax ? Code::kInvalid : Code::kNotFound;
    if (result.code == Code::kInvalid) return result;
    const Values before = values;
    touched_.clear();
    OpResult out;
    out.kind = Op::Kind::kDelete;
    for (const LeaseRef& ref : end.leases) {
      auto lease = leases.find(ref.id);
      if (lease == leases.end()) continue;
      if (ref.generation != 0 && ref.generation != lease->second.generation) continue;
      result.code = Code::kOk;
      leases.erase(lease);
      for (const auto& [key, value] : before) {
        if (value.lease != ref.id) continue;
        touch(key);
        values.erase(key);
        out.count++;
      }
    }
    if (result.code != Code::kOk) return result;
    if (out.count > 0) revision++;
    note_changes(before);
    result.succeeded = true;
    result.ops = {out};
    return result;
  }

  CommandResult apply_request(const Txn& txn) {
    for (const ModelRequest& known : requests) {
      if (known.request.principal != txn.request->principal || known.request.id != txn.request->id)
        continue;
      for (const auto* ops : {&txn.then_ops, &txn.else_ops}) {
        for (const Op& op : *ops) uploads.erase(op.upload_id);
      }
      CommandResult result;
      result.code = Code::kConflict;
      if (known.request != *txn.request) return result;
      result = known.result;
      result.replayed = true;
      return result;
    }
    return apply_txn(txn);
  }

  void remove_old_requests(bool one_comes) {
    for (uint64_t n = 0; n < kRequestsRemovedMax && requests.size() > 1; n++) {
      const bool old = now_ms_ - requests.front().time_ms >= limits_.keep_ms;
      if (!old && requests.size() + (one_comes ? 1 : 0) <= limits_.records_max) return;
      requests.pop_front();
    }
  }

  CommandResult apply_txn(const Txn& txn) {
    CommandResult result;
    const auto leases_before = leases;
    ttls_ = 0;
    const Values values_before = values;
    const auto uploads_before = uploads;
    const uint64_t revision_before = revision;
    touched_.clear();
    std::optional<Refused> refused;
    if (!validate_txn(txn)) refused = Refused{Code::kInvalid};
    if (!refused) {
      result.succeeded = true;
      for (const Compare& c : txn.compares) result.succeeded = result.succeeded && holds(c);
      refused = run(result.succeeded ? txn.then_ops : txn.else_ops, &result.ops);
    }
    if (refused) {
      values = values_before;
      uploads = uploads_before;
      leases = leases_before;
      revision = revision_before;
      result = CommandResult();
      result.code = refused->code;
    }
    if (!refused) note_changes(values_before);
    for (const auto* ops : {&txn.then_ops, &txn.else_ops}) {
      for (const Op& op : *ops) uploads.erase(op.upload_id);
    }
    return result;
  }

  void note_changes(const Values& before) {
    for (const std::string& key : touched_) {
      ModelChange change{revision, key, std::nullopt, values.count(key) != 0};
      if (auto it = before.find(key); it != before.end()) change.before = it->second;
      if (change.before || change.has_after) changes.push_back(std::move(change));
    }
  }

  void touch(const std::string& key) {
    if (std::find(touched_.begin(), touched_.end(), key) == touched_.end()) touched_.push_back(key);
  }

  std::optional<Refused> run(const std::vector<Op>& ops, std::vector<OpResult>* results) {
    for (const Op& op : ops) {
      if (op.upload_id == 0) continue;
      if (!uploads.count(op.upload_id) || uploads[op.upload_id].bytes() != op.upload_bytes)
        return Refused{Code::kNotFound};
    }
    uint64_t next = revision + 1;
    for (const Op& op : ops) {
      OpResult& result = results->emplace_back();
      result.kind = op.kind;
      result.flags = op.flags;
      if (op.kind == Op::Kind::kPut && op.lease != 0 && leases.count(op.lease) == 0)
        return Refused{Code::kNotFound};
      if (op.kind == Op::Kind::kPut)
        put(op, next, &result);
      else if (op.kind == Op::Kind::kDelete)
        remove(op, next, &result);
      else
        get(op, &result);
    }
    return std::nullopt;
  }

  void put(const Op& op, uint64_t next, OpResult* result) {
    auto it = values.find(op.range.key);
    if (it != values.end() && (op.flags & kOpPrev) != 0)
      result->items.push_back(item(it->first, it->second, op.flags));
    ModelValue value;
    value.create_revision = it == values.end() ? next : it->second.create_revision;
    value.version = it == values.end() ? 1 : it->second.version + 1;
    value.mod_revision = next;
    if (it != values.end() && it->second.ttl_ms != 0) leases.erase(it->second.lease);
    value.lease = op.ttl_ms != 0 ? own_lease_id(next, ttls_++) : op.lease;
    value.ttl_ms = op.ttl_ms;
    if (op.ttl_ms != 0) leases[value.lease] = {op.ttl_ms, next, false};
    std::string bytes = op.value;
    value.upload_id = op.upload_id;
    if (op.upload_id != 0) {
      for (const std::string& part : uploads[op.upload_id].parts) bytes += part;
      uploads.erase(op.upload_id);
    }
    value.data = std::make_shared<std::string>(std::move(bytes));
    values[op.range.key] = value;
    touch(op.range.key);
    result->count = 1;
    revision = next;
  }

  void remove(const Op& op, uint64_t next, OpResult* result) {
    for (auto it = values.begin(); it != values.end();) {
      if (!inside(op.range, it->first)) {
        ++it;
        continue;
      }
      if (op.range.kind != Range::Kind::kKey && op.limit != 0 && result->count == op.limit) {
        result->more = true;
        break;
      }
      if ((op.flags & kOpPrev) != 0) result->items.push_back(item(it->first, it->second, op.flags));
      touch(it->first);
      if (it->second.ttl_ms != 0) leases.erase(it->second.lease);
      it = values.erase(it);
      result->count++;
      revision = next;
    }
  }

  void get(const Op& op, OpResult* result) const {
    std::vector<Item> items;
    for (const auto& [key, value] : values) {
      if (inside(op.range, key)) items.push_back(item(key, value, op.flags));
    }
    if ((op.flags & kOpReverse) != 0) items = {items.rbegin(), items.rend()};
    bool count_only = (op.flags & kOpCountOnly) != 0;
    bool single = op.range.kind == Range::Kind::kKey;
    if (!count_only && !single && op.limit != 0 && items.size() > op.limit) {
      items.resize(op.limit);
      result->more = true;
    }
    result->count = items.size();
    if (!count_only) result->items = items;
  }

 public:
  static Item item(const std::string& key, const ModelValue& value, uint32_t flags) {
    bool bytes = value.upload_id == 0 && (flags & kOpKeysOnly) == 0;
    return {key,           bytes ? value.bytes() : "", value.create_revision, value.mod_revision,
            value.version, value.granted_lease(),      value.bytes().size(),  value.ttl_ms};
  }

 private:
  const RequestLimits limits_;
  uint64_t now_ms_ = 0;
  uint64_t index_ = 0;                // of the entry
  uint64_t ttls_ = 0;                 // of the transaction
  std::vector<std::string> touched_;  // by the transaction, in order of the first time
};

}  // namespace kvstore::kv::test
