// The operations of a batch as the engine takes them.
#pragma once

#include <vector>

#include <kvstore/abi/api.h>

#include "handlers/batch_plan.hpp"
#include "handlers/once.hpp"
#include "handlers/txn_document.hpp"

namespace kvstore::http {

// The transaction of a unit; borrows the operations.  once: the batch has an Idempotency-Key; may
// be null.
class UnitTxn {
 public:
  UnitTxn(const std::vector<BatchOp>& ops, const BatchUnit& unit, const OnceRequest* once);
  UnitTxn(const UnitTxn&) = delete;
  UnitTxn& operator=(const UnitTxn&) = delete;
  const kvs_txn& get() const { return txn_; }

 private:
  void add_condition(const BatchOp& op);

  std::vector<kvs_op> then_;
  std::vector<kvs_compare> compares_;
  kvs_op look_{};
  kvs_txn txn_{};
};

// Of all that the operations say.
RequestDigest digest_of_batch(const std::vector<BatchOp>& ops);

}  // namespace kvstore::http
