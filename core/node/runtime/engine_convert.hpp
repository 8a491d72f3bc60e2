// Between the API's C structs and the state machine's values.
#pragma once

#include <string>
#include <vector>

#include <kvstore/abi/api.h>

#include "base/status.hpp"
#include "kv/reader.hpp"
#include "kv/types.hpp"
#include "node/runtime/engine_limits.hpp"

namespace kvstore::node::runtime {

// INVALID or UNSUPPORTED, naming the member, for what the limits or the data model do not allow.
// Uploads are filled in by the caller: an op with an upload arrives with an empty value.
Result<kv::Txn> txn_from_abi(const kvs_txn& txn, const EngineLimits& limits);
Result<kv::Range> range_from_abi(const kvs_range& range, const EngineLimits& limits);

// Bytes that a transaction counts with against budgets and txn_bytes_max.
uint64_t txn_bytes(const kv::Txn& txn);

// The arrays of a kvs_result, borrowed from a CommandResult that must outlive it.
class ResultArrays {
 public:
  explicit ResultArrays(const kv::CommandResult& result);
  const kvs_op_result* ops() const { return ops_.data(); }
  uint32_t count() const { return static_cast<uint32_t>(ops_.size()); }

 private:
  std::vector<kvs_item> items_;
  std::vector<kvs_op_result> ops_;
};

kvs_item item_to_abi(const kv::ItemView& item);

}  // namespace kvstore::node::runtime
