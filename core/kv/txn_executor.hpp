// Executes one transaction against a batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/function_ref.hpp"
#include "kv/batch.hpp"
#include "kv/leases.hpp"
#include "kv/range.hpp"
#include "kv/types.hpp"
#include "kv/uploads.hpp"

namespace kvstore::kv {

// Lifecycle: one for a state machine, run() once for each transaction in log order.
//
// A transaction either takes effect as a whole or is rolled back, which restores the slots and
// drops its writes; store failures are returned and leave the batch unusable.
class TxnExecutor {
 public:
  TxnExecutor(Batch* batch, Uploads* uploads, Leases* leases)
      : batch_(*batch), uploads_(*uploads), leases_(*leases) {}

  // Adds the keys that `txn` names to the batch and appends their slots' numbers to `slots`, in the
  // order of compares, then_ops, else_ops; kNoSlot for ranges.
  static void plan(const Txn& txn, Batch* batch, std::vector<uint32_t>* slots);

  // slots: what plan() appended for this transaction.  An error means that the store failed; all
  // else is told by the result.
  Status run(const Txn& txn, const uint32_t* slots, CommandResult* result);
  // Instead of run(), when the transaction is not to be executed: removes the uploads that it
  // names.
  void drop_uploads(const Txn& txn);

 private:
  static constexpr uint32_t kNoSlot = Batch::kNoSlot;
  struct Undo {
    uint32_t slot;
    bool present;
    bool pristine;
    bool deferred;
    Record record;
  };
  // A key that the transaction changed, with the version from before the transaction.
  struct Superseded {
    uint32_t slot = kNoSlot;    // kNoSlot: a key that only a deleted range names
    bool present = false;       // there was a version
    bool from_slot = false;     // its bytes are the slot's `stored`
    uint64_t before_bytes = 0;  // of parts, besides the record
    uint64_t before_upload = 0;
    std::string key;     // without a slot
    std::string record;  // encoded, unless from_slot
  };
  using Visit = FunctionRef<bool(Bytes key, const Record& record)>;

  void begin(const Txn& txn);
  bool execute(const Txn& txn, const uint32_t* slots, CommandResult* result);
  // These return false after fail() or reject().
  bool fail(Status status);
  bool reject(Code code, std::string message);
  bool reject_changes();
  bool going() const { return failed_.is_ok() && rejected_.is_ok(); }

  bool compare_all(const std::vector<Compare>& compares, const uint32_t* slots, bool* holds);
  bool compare_one(const Compare& compare, uint32_t slot, bool* holds);
  bool compare_present(const Compare& compare, const Record& record, bool* holds);
  bool compare_parts(Bytes value, const Record& record, int* order);
  bool check_uploads(const std::vector<Op>& ops);

  bool run_op(const Op& op, uint32_t slot, OpResult* out);
  bool put(const Op& op, uint32_t slot, OpResult* out);
  bool delete_key(const Op& op, uint32_t slot, OpResult* out);
  bool delete_range(const Op& op, OpResult* out);
  bool get(const Op& op, uint32_t slot, OpResult* out);

  // Every pair of the interval as of now, this transaction's changes included.
  bool walk(const KeyInterval& interval, bool reverse, bool keys_only, Visit visit);
  bool count_visit();
  std::vector<const Slot*> changed_slots(const KeyInterval& interval, bool reverse) const;
  bool is_deleted(Bytes key) const;
  bool add_item(Bytes key, const Record& record, uint32_t flags, OpResult* out);
  bool change(uint32_t slot);
  bool supersede_deleted(Bytes key, const Record& record);
  void release(const Record& record);

  void commit();
  void write_history(uint32_t number, Superseded* superseded);
  void roll_back();

  Batch& batch_;
  Uploads& uploads_;
  Leases& leases_;
  uint64_t revision_ = 0;  // of the changes
  bool changed_ = false;
  uint64_t result_bytes_ = 0;
  uint64_t visits_ = 0;
  size_t ops_begin_ = 0;
  uint64_t serial_ = 0;  // of the transaction
  uint64_t history_bytes_ = 0;
  std::vector<Undo> undo_;
  std::vector<Superseded> superseded_;
  std::vector<KeyInterval> deleted_;
  std::vector<uint64_t> consumed_;  // uploads that became values
  std::vector<uint64_t> released_;  // consumed, and deleted again
  Status failed_;
  Status rejected_;
};

}  // namespace kvstore::kv
