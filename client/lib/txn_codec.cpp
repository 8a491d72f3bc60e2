#include "txn_codec.hpp"

#include "answer.hpp"
#include "codec.hpp"
#include "text.hpp"

namespace kvstore::client {
namespace {

// Keys may be any bytes, so they always travel encoded.
void set_bytes(Json& object, const std::string& name, const std::string& bytes) {
  object[name + "_base64"] = base64_encode(bytes);
}

void set_range(Json& object, const KeyRange& range) {
  switch (range.kind) {
    case KeyRange::Kind::kKey:
      set_bytes(object, "key", range.key);
      break;
    case KeyRange::Kind::kPrefix:
      set_bytes(object, "prefix", range.key);
      break;
    case KeyRange::Kind::kBetween:
      set_bytes(object, "start", range.key);
      if (!range.end.empty()) set_bytes(object, "end", range.end);
      break;
    case KeyRange::Kind::kAll:
      object["all"] = true;
      break;
  }
}

const char* target_name(Compare::Target target) {
  switch (target) {
    case Compare::Target::kValue:
      return "value";
    case Compare::Target::kModRevision:
      return "mod_revision";
    case Compare::Target::kCreateRevision:
      return "create_revision";
    case Compare::Target::kVersion:
      return "version";
    case Compare::Target::kLease:
      return "lease";
    case Compare::Target::kExists:
      break;
  }
  return "exists";
}

const char* compare_op_name(Compare::Op op) {
  switch (op) {
    case Compare::Op::kEqual:
      return "=";
    case Compare::Op::kNotEqual:
      return "!=";
    case Compare::Op::kLess:
      return "<";
    case Compare::Op::kGreater:
      break;
  }
  return ">";
}

Json compare_document(const Compare& compare) {
  Json out = {{"target", target_name(compare.target)}, {"op", compare_op_name(compare.op)}};
  set_range(out, compare.range);
  if (compare.target == Compare::Target::kValue) {
    out["value"] = base64_encode(compare.value);
  } else if (compare.target == Compare::Target::kExists) {
    out["value"] = compare.exists;
  } else {
    out["value"] = compare.number;
  }
  return out;
}

const char* kind_name(Operation::Kind kind) {
  switch (kind) {
    case Operation::Kind::kPut:
      return "put";
    case Operation::Kind::kDelete:
      return "delete";
    case Operation::Kind::kGet:
      return "get";
    case Operation::Kind::kRange:
      break;
  }
  return "range";
}

Json operation_document(const Operation& operation, bool with_condition) {
  Json out = {{"op", kind_name(operation.kind)}};
  set_range(out, operation.range);
  if (operation.kind == Operation::Kind::kPut) out["value"] = base64_encode(operation.value);
  if (operation.lifetime.lease != 0) out["lease"] = operation.lifetime.lease;
  if (operation.lifetime.ttl.count() != 0) {
    out["ttl"] = std::to_string(operation.lifetime.ttl.count()) + "ms";
  }
  if (operation.prev) out["prev"] = true;
  if (operation.keys_only) out["keys_only"] = true;
  if (operation.count_only) out["count_only"] = true;
  if (operation.reverse) out["reverse"] = true;
  if (operation.limit != 0) out["limit"] = operation.limit;
  if (!with_condition) return out;
  if (operation.condition.mod_revision) {
    out["if_mod_revision"] = *operation.condition.mod_revision;
  }
  if (operation.condition.absent) out["if_absent"] = true;
  return out;
}

Json operations_document(const std::vector<Operation>& operations, bool with_condition) {
  Json out = Json::array();
  for (const Operation& operation : operations) {
    out.push_back(operation_document(operation, with_condition));
  }
  return out;
}

bool add_item(const Json& object, OperationResult* out) {
  auto item = object.is_object() ? item_of(object) : std::nullopt;
  if (!item) return false;
  out->items.push_back(std::move(*item));
  return true;
}

// Items under `name`: a list, one object, or null.
bool add_items(const Json& object, const char* name, OperationResult* out) {
  const Json* field = find_field(object, name);
  if (field == nullptr || field->is_null()) return true;
  if (!field->is_array()) return add_item(*field, out);
  for (const Json& element : *field) {
    if (!add_item(element, out)) return false;
  }
  return true;
}

std::optional<OperationResult> operation_result(const Json& object) {
  if (!object.is_object()) return std::nullopt;
  OperationResult out;
  for (const char* name : {"item", "items", "prev"}) {
    if (!add_items(object, name, &out)) return std::nullopt;
  }
  const std::string op = get_string(object, "op");
  out.mod_revision = get_number(object, "mod_revision");
  out.more = get_bool(object, "more");
  out.count = op == "delete" ? get_number(object, "deleted") : get_number(object, "count");
  if (op == "get") out.count = out.items.size();
  if (const Json* error = find_object(object, "error")) {
    out.error = error_of(*error, static_cast<int>(get_number(object, "status")), op != "get");
    out.error->current_revision = get_number(object, "current_revision");
  }
  return out;
}

bool parse_results(const Json& document, std::vector<OperationResult>* out) {
  const Json* results = find_array(document, "results");
  if (results == nullptr) return false;
  out->reserve(results->size());
  for (const Json& object : *results) {
    auto result = operation_result(object);
    if (!result) return false;
    out->push_back(std::move(*result));
  }
  return true;
}

}  // namespace

Json txn_document(const Txn& txn) {
  Json out = {{"then", operations_document(txn.then_ops, false)},
              {"else", operations_document(txn.else_ops, false)}};
  Json& compares = out["compares"] = Json::array();
  for (const Compare& compare : txn.compares) compares.push_back(compare_document(compare));
  return out;
}

Json batch_document(const std::vector<Operation>& operations) {
  return {{"operations", operations_document(operations, true)}};
}

bool txn_writes(std::string_view text) {
  const Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return true;
  for (const char* branch : {"then", "else"}) {
    const Json* operations = find_array(document, branch);
    if (operations == nullptr) continue;
    for (const Json& operation : *operations) {
      const std::string op = operation.is_object() ? get_string(operation, "op") : "";
      if (op != "get" && op != "range") return true;
    }
  }
  return false;
}

std::string range_query(const KeyRange& range) {
  switch (range.kind) {
    case KeyRange::Kind::kKey:
      return "start=" + percent_encode(range.key) + "&end=" + percent_encode(range.key + '\0');
    case KeyRange::Kind::kPrefix:
      return "prefix=" + percent_encode(range.key);
    case KeyRange::Kind::kBetween:
      return "start=" + percent_encode(range.key) + "&end=" + percent_encode(range.end);
    case KeyRange::Kind::kAll:
      break;
  }
  return "all=true";
}

std::optional<TxnResult> parse_txn_result(const std::string& text) {
  const auto document = parse_object(text);
  TxnResult out;
  if (!document || !parse_results(*document, &out.results)) return std::nullopt;
  out.succeeded = get_bool(*document, "succeeded");
  out.revision = get_number(*document, "revision");
  out.json = text;
  return out;
}

std::optional<BatchResult> parse_batch_result(const std::string& text) {
  const auto document = parse_object(text);
  BatchResult out;
  if (!document || !parse_results(*document, &out.results)) return std::nullopt;
  for (const OperationResult& result : out.results) out.failed += result.error ? 1 : 0;
  out.revision = get_number(*document, "revision");
  out.json = text;
  return out;
}

}  // namespace kvstore::client
