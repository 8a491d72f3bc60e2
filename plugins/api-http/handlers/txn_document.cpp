#include "handlers/txn_document.hpp"

#include <algorithm>

#include <kvstore/sdk/slice.hpp>

#include "handlers/kv_common.hpp"
#include "text/base64.hpp"
#include "text/flat_lists.hpp"
#include "text/scalar.hpp"

namespace kvstore::http {
namespace {

// What may name the keys.
enum class Keys : uint8_t {
  kOne,         // a key
  kOneOrRange,  // a key or a range, and "all" for every key
  kRange,       // a range; without bounds it is every key
};

std::optional<std::string> take_base64(FlatObject& object, std::string_view name) {
  const auto text = object.take_string(name);
  if (!text) return std::nullopt;
  std::string bytes;
  Base64Decoder decoder;
  if (!decoder.feed(*text, &bytes) || !decoder.finish()) {
    throw object.error(name, "not valid base64");
  }
  return bytes;
}

// Bytes under `name` as text or under "<name>_base64".
std::optional<std::string> take_bytes(FlatObject& object, const std::string& name,
                                      const Config& config) {
  const std::string encoded = name + "_base64";
  if (object.has(name) && object.has(encoded)) throw object.error(encoded, "excludes " + name);
  const std::string field = object.has(encoded) ? encoded : name;
  auto bytes = object.has(encoded) ? take_base64(object, encoded) : object.take_string(name);
  if (bytes && bytes->size() > config.max_key_bytes) {
    ApiError error =
        object.error(field, "has " + std::to_string(bytes->size()) + " bytes, the limit is " +
                                std::to_string(config.max_key_bytes) + " (max_key_bytes)");
    error.code = "key_too_large";
    throw error;
  }
  return bytes;
}

RangeSpec bounded(std::optional<std::string> start, std::optional<std::string> end) {
  RangeSpec range;
  range.key = start.value_or("");
  range.end = end.value_or("");
  range.kind = !range.end.empty()   ? uint32_t{KVS_RANGE_UNTIL}
               : !range.key.empty() ? uint32_t{KVS_RANGE_FROM}
                                    : uint32_t{KVS_RANGE_ALL};
  return range;
}

// A range, or nothing when the object names none.
std::optional<RangeSpec> take_range(FlatObject& object, const Config& config) {
  auto prefix = take_bytes(object, "prefix", config);
  auto start = take_bytes(object, "start", config);
  auto end = take_bytes(object, "end", config);
  const auto all = object.take_boolean("all");
  if (all && !*all) throw object.error("all", "must be true, or absent");
  if (prefix && (start || end)) throw object.error("prefix", "excludes start and end");
  if (all && (start || end || !prefix.value_or("").empty())) {
    throw object.error("all", "excludes prefix, start and end");
  }
  if (!prefix && !start && !end && !all) return std::nullopt;
  RangeSpec range = bounded(std::move(start), std::move(end));
  if (prefix && !prefix->empty()) {
    range.kind = KVS_RANGE_PREFIX;
    range.key = std::move(*prefix);
  }
  if (range.kind == KVS_RANGE_ALL && !all) {
    throw bad_request(object.path() + ": names every key; say \"all\": true if that is meant");
  }
  return range;
}

RangeSpec take_keys(FlatObject& object, Keys keys, const Config& config) {
  std::optional<std::string> key;
  if (keys != Keys::kRange) key = take_bytes(object, "key", config);
  std::optional<RangeSpec> range;
  if (keys != Keys::kOne) range = take_range(object, config);
  if (key && range) throw object.error("key", "excludes prefix, start, end and all");
  if (range) return *range;
  RangeSpec out;
  if (key) {
    if (key->empty()) throw object.error("key", "must not be empty");
    out.key = std::move(*key);
  } else if (keys == Keys::kRange) {
    out.kind = KVS_RANGE_ALL;
  } else {
    throw object.error("key", "missing");
  }
  return out;
}

std::optional<std::string> take_value(FlatObject& object) {
  if (object.has("value") && object.has("text")) throw object.error("text", "excludes value");
  const char* field = object.has("text") ? "text" : "value";
  auto value = object.has("text") ? object.take_string("text") : take_base64(object, "value");
  if (value && value->size() > kInlineValueBytesMax) {
    throw ApiError(413, "too_large",
                   object.path() + "." + field + ": has " + std::to_string(value->size()) +
                       " bytes, the limit here is " + std::to_string(kInlineValueBytesMax) +
                       "; PUT takes larger ones");
  }
  return value;
}

void take_flag(FlatObject& object, std::string_view name, uint32_t flag, uint32_t* flags) {
  if (object.take_boolean(name).value_or(false)) *flags |= flag;
}

void take_limit(FlatObject& object, const Config& config, OpSpec* op) {
  const auto limit = object.take_unsigned("limit");
  if (!limit) return;
  if (*limit == 0 || *limit > config.max_list_items) {
    throw object.error("limit", "must be 1.." + std::to_string(config.max_list_items));
  }
  if (op->has(KVS_OP_COUNT_ONLY)) throw object.error("limit", "does not go with count_only");
  op->limit = *limit;
}

// As in queries: a text such as "30s", or a number of seconds.
uint64_t take_ttl_ms(FlatObject& object) {
  if (!object.has("ttl")) return 0;
  const auto text = object.is_string("ttl") ? object.take_string("ttl")
                                            : std::to_string(*object.take_unsigned("ttl"));
  const auto ms = parse_duration_ms(*text, kTtlMaxMs);
  if (!ms || *ms == 0) throw object.error("ttl", "must be a duration such as 250ms, 30s or 5m");
  return *ms;
}

// What only a put has.
void take_put(FlatObject& object, OpSpec* op) {
  auto value = take_value(object);
  if (!value) throw object.error("value", "missing");
  op->value = std::move(*value);
  op->ttl_ms = take_ttl_ms(object);
  const auto lease = object.take_unsigned("lease");
  if (lease && (*lease == 0 || *lease > kLeaseIdMax)) {
    throw object.error("lease", "must be an integer in 1.." + std::to_string(kLeaseIdMax));
  }
  op->lease = lease.value_or(0);
  if (op->lease != 0 && op->ttl_ms != 0) throw object.error("ttl", "excludes lease");
}

OpName take_op_name(FlatObject& object, bool ranges) {
  const auto name = object.take_string("op");
  if (!name) throw object.error("op", "missing");
  for (const OpName known : {OpName::kPut, OpName::kDelete, OpName::kGet, OpName::kRange}) {
    if (*name == op_name(known) && (ranges || known != OpName::kRange)) return known;
  }
  throw object.error("op",
                     ranges ? "must be put, delete, get or range" : "must be put, delete or get");
}

// ranges: as a transaction has them; a batch has single keys alone.
OpSpec take_op(FlatObject& object, bool ranges, const Config& config) {
  OpSpec op;
  op.name = take_op_name(object, ranges);
  const bool may_range = ranges && (op.name == OpName::kDelete || op.name == OpName::kRange);
  const Keys keys = !may_range                  ? Keys::kOne
                    : op.name == OpName::kRange ? Keys::kRange
                                                : Keys::kOneOrRange;
  op.range = take_keys(object, keys, config);
  if (op.name == OpName::kPut) take_put(object, &op);
  take_flag(object, "keys_only", KVS_OP_KEYS_ONLY, &op.flags);
  if (op.writes()) take_flag(object, "prev", KVS_OP_PREV, &op.flags);
  if (op.name == OpName::kRange) {
    take_flag(object, "count_only", KVS_OP_COUNT_ONLY, &op.flags);
    take_flag(object, "reverse", KVS_OP_REVERSE, &op.flags);
  }
  if (!op.range.is_key()) take_limit(object, config, &op);
  return op;
}

OpSpec txn_op(FlatObject& object, const Config& config) {
  OpSpec op = take_op(object, true, config);
  object.reject_rest(std::string("op ").append(op_name(op.name)));
  return op;
}

struct TargetName {
  const char* name;
  uint32_t target;
};
constexpr TargetName kTargets[] = {{"value", KVS_CMP_VALUE},
                                   {"mod_revision", KVS_CMP_MOD_REVISION},
                                   {"create_revision", KVS_CMP_CREATE_REVISION},
                                   {"version", KVS_CMP_VERSION},
                                   {"lease", KVS_CMP_LEASE}};

struct CompareOpName {
  const char* name;
  uint32_t op;
};
constexpr CompareOpName kCompareOps[] = {
    {"=", KVS_CMP_EQ}, {"!=", KVS_CMP_NE}, {"<", KVS_CMP_LT}, {">", KVS_CMP_GT}};

uint32_t take_compare_op(FlatObject& object) {
  const std::string name = object.take_string("op").value_or("=");
  for (const auto& [known, op] : kCompareOps) {
    if (name == known) return op;
  }
  throw object.error("op", "must be =, !=, < or >");
}

// "exists" is a question about the version, which an absent key has as 0.
void take_exists(FlatObject& object, CompareSpec* compare) {
  const bool wanted = object.take_boolean("value").value_or(true);
  if (compare->op != KVS_CMP_EQ) throw object.error("op", "must be = with target exists");
  if (wanted && !compare->range.is_key()) {
    throw object.error("value", "must be false with target exists of a range");
  }
  compare->target = KVS_CMP_VERSION;
  compare->op = wanted ? KVS_CMP_GT : KVS_CMP_EQ;
}

CompareSpec take_compare(FlatObject& object, const Config& config) {
  CompareSpec compare;
  compare.range = take_keys(object, Keys::kOneOrRange, config);
  const auto target = object.take_string("target");
  if (!target) throw object.error("target", "missing");
  compare.op = take_compare_op(object);
  if (*target == "exists") {
    take_exists(object, &compare);
    return compare;
  }
  const auto found = std::find_if(std::begin(kTargets), std::end(kTargets),
                                  [&](const TargetName& t) { return *target == t.name; });
  if (found == std::end(kTargets)) {
    throw object.error("target",
                       "must be value, mod_revision, create_revision, version, lease or exists");
  }
  compare.target = found->target;
  if (compare.target == KVS_CMP_VALUE) {
    auto value = take_value(object);
    if (!value) throw object.error("value", "missing");
    compare.value = std::move(*value);
  } else {
    const auto number = object.take_unsigned("value");
    if (!number) throw object.error("value", "missing");
    compare.number = *number;
  }
  return compare;
}

// Two puts of a key in one transaction have no order of effects that everybody would guess.
void check_puts(const std::vector<OpSpec>& ops, const char* list) {
  std::vector<std::pair<std::string_view, size_t>> puts;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].name == OpName::kPut) puts.emplace_back(ops[i].range.key, i);
  }
  std::sort(puts.begin(), puts.end());
  for (size_t i = 1; i < puts.size(); ++i) {
    if (puts[i].first != puts[i - 1].first) continue;
    throw bad_request(std::string(list) + "[" + std::to_string(puts[i].second) +
                      "].key: is put twice");
  }
}

BatchOp take_batch_op(FlatObject& object, const Config& config) {
  BatchOp out;
  out.op = take_op(object, false, config);
  if (out.op.writes()) out.if_mod_revision = object.take_unsigned("if_mod_revision");
  if (out.if_mod_revision == uint64_t{0}) {
    throw object.error("if_mod_revision", "must be a positive integer (see if_absent)");
  }
  if (out.op.name == OpName::kPut) {
    out.if_absent = object.take_boolean("if_absent").value_or(false);
  }
  if (out.if_absent && out.if_mod_revision) {
    throw object.error("if_absent", "excludes if_mod_revision");
  }
  object.reject_rest(std::string("op ").append(op_name(out.op.name)));
  return out;
}

}  // namespace

std::string_view op_name(OpName name) {
  switch (name) {
    case OpName::kPut:
      return "put";
    case OpName::kDelete:
      return "delete";
    case OpName::kGet:
      return "get";
    case OpName::kRange:
      break;
  }
  return "range";
}

kvs_range RangeSpec::to_abi() const {
  kvs_range out{};
  out.kind = kind;
  out.key = sdk::slice(key);
  out.end = sdk::slice(end);
  return out;
}

kvs_compare CompareSpec::to_abi() const {
  kvs_compare out{};
  out.target = target;
  out.op = op;
  out.range = range.to_abi();
  out.value = sdk::slice(value);
  out.number = number;
  return out;
}

kvs_op OpSpec::to_abi() const {
  kvs_op out{};
  out.kind = name == OpName::kPut      ? uint32_t{KVS_OP_PUT}
             : name == OpName::kDelete ? uint32_t{KVS_OP_DELETE}
                                       : uint32_t{KVS_OP_GET};
  out.flags = flags;
  out.range = range.to_abi();
  out.value = sdk::slice(value);
  out.lease = lease;
  out.ttl_ms = ttl_ms;
  out.limit = limit + (name == OpName::kRange && limit != 0 ? 1 : 0);
  return out;
}

TxnDocument parse_txn_document(std::string_view body, const Config& config) {
  TxnDocument out;
  const uint64_t max = config.max_txn_operations;
  parse_flat_lists(
      body,
      {{"compares", max,
        [&](FlatObject object) {
          out.compares.push_back(take_compare(object, config));
          object.reject_rest("a compare of this target");
        }},
       {"then", max, [&](FlatObject object) { out.then_ops.push_back(txn_op(object, config)); }},
       {"else", max, [&](FlatObject object) { out.else_ops.push_back(txn_op(object, config)); }}});
  if (out.then_ops.empty() && out.else_ops.empty()) {
    throw bad_request("then: at least one operation is needed, in then or in else");
  }
  check_puts(out.then_ops, "then");
  check_puts(out.else_ops, "else");
  return out;
}

std::vector<BatchOp> parse_batch_document(std::string_view body, const Config& config) {
  std::vector<BatchOp> out;
  parse_flat_lists(body, {{"operations", config.max_batch_operations, [&](FlatObject object) {
                             out.push_back(take_batch_op(object, config));
                           }}});
  if (out.empty()) throw bad_request("operations: at least one is needed");
  return out;
}

}  // namespace kvstore::http
