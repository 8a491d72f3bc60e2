#include "handlers/batch_txn.hpp"

#include <kvstore/sdk/slice.hpp>

namespace kvstore::http {

UnitTxn::UnitTxn(const std::vector<BatchOp>& ops, const BatchUnit& unit, const OnceRequest* once) {
  for (const uint32_t i : unit) then_.push_back(ops[i].op.to_abi());
  const BatchOp& first = ops[unit.front()];
  txn_.struct_size = sizeof txn_;
  txn_.then_ops = then_.data();
  txn_.then_count = static_cast<uint32_t>(then_.size());
  if (first.is_conditional()) add_condition(first);
  if (once != nullptr) {
    for (const kvs_compare& compare : once->compares(first.op.range.key)) {
      compares_.push_back(compare);
    }
  }
  txn_.compares = compares_.data();
  txn_.compare_count = static_cast<uint32_t>(compares_.size());
}

void UnitTxn::add_condition(const BatchOp& op) {
  kvs_compare compare{};
  compare.range = then_.front().range;
  compare.op = KVS_CMP_EQ;
  compare.target = op.if_absent ? uint32_t{KVS_CMP_VERSION} : uint32_t{KVS_CMP_MOD_REVISION};
  compare.number = op.if_mod_revision.value_or(0);
  compares_.push_back(compare);
  look_.kind = KVS_OP_GET;
  look_.flags = KVS_OP_KEYS_ONLY;
  look_.range = compare.range;
  txn_.else_ops = &look_;
  txn_.else_count = 1;
}

RequestDigest digest_of_batch(const std::vector<BatchOp>& ops) {
  DigestBuilder digest;
  digest.add("batch").add(ops.size());
  for (const BatchOp& batch_op : ops) {
    const OpSpec& op = batch_op.op;
    digest.add(op_name(op.name)).add(op.range.key).add(op.value);
    digest.add(op.flags).add(op.lease).add(op.ttl_ms);
    digest.add(batch_op.if_absent ? 1 : 0).add(batch_op.if_mod_revision.value_or(0));
  }
  return digest.sum();
}

}  // namespace kvstore::http
