// The JSON bodies of POST /txn and POST /batch as data.  The README has their fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <kvstore/abi/api.h>

#include "options.hpp"

namespace kvstore::http {

// Values in transactions and batches; larger ones go up by PUT.
inline constexpr uint64_t kInlineValueBytesMax = 1 << 20;

// The keys that an operation or a compare names.
struct RangeSpec {
  uint32_t kind = KVS_RANGE_KEY;
  std::string key, end;
  bool is_key() const { return kind == KVS_RANGE_KEY; }
  // Borrows this object's strings.
  kvs_range to_abi() const;
};

struct CompareSpec {
  uint32_t target = KVS_CMP_VERSION;
  uint32_t op = KVS_CMP_EQ;
  RangeSpec range;
  std::string value;    // for KVS_CMP_VALUE
  uint64_t number = 0;  // for the others
  kvs_compare to_abi() const;
};

enum class OpName : uint8_t { kPut, kDelete, kGet, kRange };
std::string_view op_name(OpName name);

struct OpSpec {
  OpName name = OpName::kPut;
  RangeSpec range;
  std::string value;
  uint32_t flags = 0;   // KVS_OP_*
  uint64_t limit = 0;   // 0: none
  uint64_t lease = 0;   // 0: none
  uint64_t ttl_ms = 0;  // 0: none
  bool has(uint32_t flag) const { return (flags & flag) != 0; }
  bool writes() const { return name == OpName::kPut || name == OpName::kDelete; }
  // Reads of a range ask for one item more than the limit, to know whether there are more.
  kvs_op to_abi() const;
};

struct TxnDocument {
  std::vector<CompareSpec> compares;
  std::vector<OpSpec> then_ops, else_ops;
};

struct BatchOp {
  OpSpec op;
  std::optional<uint64_t> if_mod_revision;
  bool if_absent = false;
  bool is_conditional() const { return if_absent || if_mod_revision.has_value(); }
};

// Both throw ApiError(400) that begins with the path of what is wrong ("then[3].value"), or 413 for
// a value above kInlineValueBytesMax.
TxnDocument parse_txn_document(std::string_view body, const Config& config);
std::vector<BatchOp> parse_batch_document(std::string_view body, const Config& config);

}  // namespace kvstore::http
