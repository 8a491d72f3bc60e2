#include "kv/batch.hpp"

namespace kvstore::kv {

void Batch::load(const AppliedMark& applied, const MachineRecord& machine) {
  begin();
  ops_.clear();
  done_ = {applied.term, applied.index, {}};
  machine_ = written_machine_ = machine;
}

void Batch::begin() {
  view_.reset();
  slots_.clear();
  slot_of_.clear();
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
  Status read = store_->get_many(kSpaceUser, keys_, [&](size_t i, bool found, Bytes value) {
    if (!found || !bad.is_ok()) return;
    KVS_ASSERT(i < slots_.size());
    Slot& slot = slots_[i];
    auto record = decode_record_of(slot.key, value);
    if (!record) {
      bad = record.status();
      return;
    }
    slot.present = true;
    slot.record = *record;
    if (slot.want_value) slot.stored.assign(record->value);
    slot.record.value = slot.stored;
  });
  return read.is_ok() ? bad : read;
}

void Batch::complete(uint64_t term, uint64_t index) {
  done_.term = term;
  done_.index = index;
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
