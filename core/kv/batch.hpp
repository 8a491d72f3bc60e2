// One apply() call under way: the user keys it touches, what it has yet to write, and how far it
// is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "kv/record.hpp"
#include "kv/store.hpp"
#include "kv/system_records.hpp"
#include "kv/types.hpp"

namespace kvstore::kv {

// A single key that the batch reads or changes, as of the operation under way.
struct Slot {
  Bytes key;  // borrowed from the batch's commands
  bool present = false;
  bool want_value = false;  // some operation needs the stored bytes, not only the revisions
  bool pristine = true;     // the record is what the store holds
  bool deferred = false;    // pristine, and the stored bytes were not kept: load() first
  uint64_t changed_by = 0;  // the transaction, by a number of the executor's, that changed it last
  Record record;            // its value is borrowed from `stored` or from a command
  std::string stored;       // the encoded record, while pristine
};

// Stored bytes that a batch keeps for its slots; what is above is read again when it is needed, so
// that small commands over large values do not take memory without bound.
inline constexpr uint64_t kKeptBytesMax = 16 << 20;
// Changes not yet written that a batch collects before it writes them, between two entries.
inline constexpr uint64_t kPendingBytesMax = 16 << 20;

// Order of a batch: begin(), add_key() for every single key, fetch(), then the operations, which
// change slots and append to ops(); complete() after each entry; finish() at the end.
//
// Changes live in the slots and in ops() until they are written, so a scan of the store would miss
// them: flush() writes what completed entries changed, then view() shows it.
class Batch {
 public:
  explicit Batch(Store* store) : store_(store) {}

  // After open or reload: what the store holds.
  void load(const AppliedMark& applied, const MachineRecord& machine);

  // Forgets slots and view; before and after each batch, since slots borrow from its commands.
  void begin();
  // The number of the key's slot.
  uint32_t add_key(Bytes key, bool want_value);
  static constexpr uint32_t kNoSlot = UINT32_MAX;
  // kNoSlot when the batch does not name the key.
  uint32_t find_key(Bytes key) const;
  // Reads all slots from the store, in one call.
  Status fetch();

  // The slot of a key that no command of the batch need name, filled with `stored`, what the store
  // has under it after a flush.  The key outlives the slots.
  Result<uint32_t> adopt(Bytes key, Bytes stored);

  Slot& slot(uint32_t number) { return slots_[number]; }
  size_t slot_count() const { return slots_.size(); }
  // The stored bytes of a deferred slot are there until drop_loaded(), which ends each transaction.
  Status load(uint32_t number);
  void drop_loaded();
  // Changes not written yet, in the order in which they take effect.
  std::vector<WriteOp>& ops() { return ops_; }
  MachineRecord& machine() { return machine_; }
  Store& store() { return *store_; }

  // Everything up to this entry is in ops() or written.
  void complete(uint64_t term, uint64_t index);
  // The entry completed next is this configuration.
  void set_configuration(Bytes encoded) { done_.meta = encoded; }
  uint64_t completed_index() const { return done_.index; }

  // Bytes of ops(), up to the last completed entry.
  uint64_t pending_bytes() const { return pending_bytes_; }

  // Writes ops() with the mark of the last completed entry, if there are any.  Only between
  // entries, or in one that has changed nothing yet.
  Status flush();
  // The state after the last flush.  Valid until the next write.
  Result<View*> view();
  // Writes what is left with the mark of the last completed entry.
  Status finish() { return write(); }

 private:
  Status write();
  Status take_stored(Slot* slot, Bytes bytes);

  Store* store_;
  std::vector<Slot> slots_;
  std::vector<Bytes> keys_;
  std::unordered_map<Bytes, uint32_t> slot_of_;
  std::vector<uint32_t> loaded_;
  uint64_t kept_bytes_ = 0;
  std::vector<WriteOp> ops_;
  size_t counted_ops_ = 0;
  uint64_t pending_bytes_ = 0;
  MachineRecord machine_;
  MachineRecord written_machine_;
  AppliedMark done_;
  std::unique_ptr<View> view_;
};

}  // namespace kvstore::kv
