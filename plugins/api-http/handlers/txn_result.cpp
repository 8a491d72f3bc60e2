#include "handlers/txn_result.hpp"

#include <algorithm>

#include "handlers/kv_common.hpp"
#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

void append_budgeted(const kvs_item& item, bool with_value, ValueBudget* budget, std::string* out) {
  if (!with_value || budget->take(item.value.len)) {
    append_item(item, with_value, out);
    return;
  }
  kvs_item without = item;
  without.value = {};
  append_item(without, true, out);
}

void append_number_field(const char* field, uint64_t number, std::string* out) {
  out->append(",\"").append(field).append("\":");
  append_number(number, out);
}

void append_items(const char* field, const kvs_op_result& result, uint64_t count, bool with_value,
                  ValueBudget* budget, std::string* out) {
  out->append(",\"").append(field).append("\":[");
  for (uint64_t i = 0; i < count; ++i) {
    if (i != 0) out->push_back(',');
    append_budgeted(result.items[i], with_value, budget, out);
  }
  out->push_back(']');
}

// The one item of an operation on a single key, or null.
void append_single(const char* field, const kvs_op_result& result, bool with_value,
                   ValueBudget* budget, std::string* out) {
  if (result.item_count != 0) {
    out->push_back(',');
    append_item_field(field, result.items[0], with_value, budget, out);
  } else {
    out->append(",\"").append(field).append("\":null");
  }
}

void append_range(const OpSpec& op, const kvs_op_result& result, ValueBudget* budget,
                  std::string* out) {
  if (op.has(KVS_OP_COUNT_ONLY)) {
    append_number_field("count", result.count, out);
    return;
  }
  const uint64_t found = result.item_count;
  const uint64_t count = op.limit == 0 ? found : std::min(found, op.limit);
  append_items("items", result, count, !op.has(KVS_OP_KEYS_ONLY), budget, out);
  append_number_field("count", count, out);
  out->append(",\"more\":").append(count < found ? "true" : "false");
}

}  // namespace

bool ValueBudget::take(uint64_t bytes) {
  uint64_t left = left_.load(std::memory_order_relaxed);
  while (bytes <= left) {
    if (left_.compare_exchange_weak(left, left - bytes, std::memory_order_relaxed)) return true;
  }
  return false;
}

void append_item_field(const char* field, const kvs_item& item, bool with_value,
                       ValueBudget* budget, std::string* out) {
  out->append("\"").append(field).append("\":");
  append_budgeted(item, with_value, budget, out);
}

void append_op_result(const OpSpec& op, const kvs_op_result& result, uint64_t revision,
                      ValueBudget* budget, std::string* out) {
  const bool with_value = !op.has(KVS_OP_KEYS_ONLY);
  out->append("\"op\":\"").append(op_name(op.name)).push_back('"');
  switch (op.name) {
    case OpName::kPut:
      append_number_field("mod_revision", revision, out);
      break;
    case OpName::kDelete:
      append_number_field("deleted", result.count, out);
      break;
    case OpName::kGet:
      append_single("item", result, with_value, budget, out);
      break;
    case OpName::kRange:
      append_range(op, result, budget, out);
      break;
  }
  if (!op.has(KVS_OP_PREV)) return;
  if (op.range.is_key()) {
    append_single("prev", result, with_value, budget, out);
  } else {
    append_items("prev", result, result.item_count, with_value, budget, out);
  }
}

void check_op_count(const kvs_result& result, size_t count) {
  if (result.op_count == count) return;
  throw error_from_status(KVS_E_INTERNAL, "the transaction has " + std::to_string(result.op_count) +
                                              " results for " + std::to_string(count) +
                                              " operations");
}

}  // namespace kvstore::http
