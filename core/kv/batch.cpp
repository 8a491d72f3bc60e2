#include "kv/batch.hpp"

namespace kvstore::kv {

void Batch::load(const AppliedMark& applied, const MachineRecord& machine) {
  begin();
  ops_.clear();
  counted_ops_ = pending_bytes_ = 0;
  done_ = {applied.term, applied.index, {}};
  machine_ = written_machine_ = machine;
}

void Batch::begin() {
  view_.reset();
  slots_.clear();
  slot_of_.clear();
  loaded_.clear();
  kept_bytes_ = 0;
}

uint32_t Batch::add_key(Bytes key, bool want_value) {
  auto [it, added] = slot_of_.try_emplace(key, static_cast<uint32_t>(slots_.size()));
  if (added) slots_.emplace_back().key = key;
  Slot& slot = slots_[it->second];
  slot.want_value = slot.want_value || want_value;
  return it->second;
}

Status Batch::fetch() {
  if (slots_.empty()) return Status();
  keys_.clear();
  for (const Slot& slot : slots_) keys_.push_back(slot.key);
  Status bad;
  Status read = store_->get_many(kSpaceUser, keys_, [&](size_t i, bool found, Bytes bytes) {
    if (!found || !bad.is_ok()) return;
    KVS_ASSERT(i < slots_.size());
    slots_[i].present = true;
    bad = take_stored(&slots_[i], bytes);
  });
  return read.is_ok() ? bad : read;
}

Status Batch::take_stored(Slot* slot, Bytes bytes) {
  slot->deferred = slot->want_value && bytes.size() > kKeptBytesMax - kept_bytes_;
  const bool keep = slot->want_value && !slot->deferred;
  if (keep) {
    slot->stored.assign(bytes);
    kept_bytes_ += bytes.size();
  }
  auto record = decode_record_of(slot->key, keep ? Bytes(slot->stored) : bytes);
  if (!record) return record.status();
  slot->record = *record;
  if (!keep) slot->record.value = Bytes();
  return Status();
}

Result<uint32_t> Batch::adopt(Bytes key, Bytes stored) {
  const uint32_t number = add_key(key, true);
  Slot& slot = slots_[number];
  if (slot.present && !slot.pristine) return number;  // it has what was written
  slot.present = slot.pristine = true;
  slot.deferred = false;
  slot.stored.assign(stored);
  auto record = decode_record_of(slot.key, slot.stored);
  if (!record) return record.status();
  slot.record = *record;
  return number;
}

uint32_t Batch::find_key(Bytes key) const {
  auto it = slot_of_.find(key);
  return it == slot_of_.end() ? kNoSlot : it->second;
}

Status Batch::load(uint32_t number) {
  Slot& slot = slots_[number];
  if (!slot.deferred) return Status();
  KVS_ASSERT(slot.pristine);
  bool found = false;
  Status read =
      store_->get_many(kSpaceUser, std::span(&slot.key, 1), [&](size_t, bool present, Bytes bytes) {
        found = present;
        slot.stored.assign(bytes);
      });
  if (!read) return read;
  auto record = decode_record_of(slot.key, slot.stored);
  if (!found || !record) return Status(Code::kCorrupt, "a record changed while it was in use");
  slot.record = *record;
  slot.deferred = false;
  loaded_.push_back(number);
  return Status();
}

void Batch::drop_loaded() {
  for (uint32_t number : loaded_) {
    Slot& slot = slots_[number];
    if (!slot.pristine) continue;  // its bytes went into the history
    slot.record.value = Bytes();
    slot.stored = std::string();
    slot.deferred = true;
  }
  loaded_.clear();
}

void Batch::complete(uint64_t term, uint64_t index) {
  done_.term = term;
  done_.index = index;
  for (; counted_ops_ < ops_.size(); counted_ops_++)
    pending_bytes_ += ops_[counted_ops_].key.size() + ops_[counted_ops_].value.size();
}

Status Batch::flush() {
  return ops_.empty() ? Status() : write();
}

Status Batch::write() {
  if (machine_ != written_machine_)
    ops_.push_back(
        {WriteOp::Kind::kPut, kSpaceSystem, std::string(kMachineKey), encode_machine(machine_)});
  if (Status s = store_->write(ops_, done_); !s) return s;
  ops_.clear();
  counted_ops_ = pending_bytes_ = 0;
  done_.meta.clear();
  written_machine_ = machine_;
  view_.reset();
  return Status();
}

Result<View*> Batch::view() {
  if (view_ == nullptr) {
    auto opened = store_->open_view();
    if (!opened) return opened.status();
    view_ = std::move(opened).value();
  }
  return view_.get();
}

}  // namespace kvstore::kv
