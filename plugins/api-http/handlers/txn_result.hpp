// Results of operations as JSON, in transactions and batches alike.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "handlers/txn_document.hpp"

namespace kvstore::http {

// How many bytes of values an answer may still hold.  [any-thread]
class ValueBudget {
 public:
  explicit ValueBudget(uint64_t bytes) : left_(bytes) {}
  // False when they do not fit: then the value is left out.
  bool take(uint64_t bytes);

 private:
  std::atomic<uint64_t> left_;
};

// Appends `"op":"put","mod_revision":7,"prev":...` and the like, without braces.  revision: of the
// transaction that ran the operation.
void append_op_result(const OpSpec& op, const kvs_op_result& result, uint64_t revision,
                      ValueBudget* budget, std::string* out);

// `"item":{...}` of a key that was read.
void append_item_field(const char* field, const kvs_item& item, bool with_value,
                       ValueBudget* budget, std::string* out);

// Throws ApiError(500) when the engine did not give one result for each operation.
void check_op_count(const kvs_result& result, size_t count);

}  // namespace kvstore::http
