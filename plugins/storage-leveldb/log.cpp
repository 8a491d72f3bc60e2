#include "log.hpp"

#include <algorithm>

#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

#include <nlohmann/json.hpp>

namespace kvstore::storage_leveldb {
namespace {

constexpr sdk::EngineTag kTag{"leveldb", KVS_LOG_ID, 1};
// The database's directory below data_dir.
constexpr const char* kDatabase = "/leveldb-log";
// Deletions of compacted entries: a compaction does this many at once, every write twice as many as
// it has entries and a few more, so that the sweep keeps ahead of the appends and no call pays for
// all of it.
constexpr uint64_t kSweepPerCompaction = 4096;
constexpr uint64_t kSweepPerWrite = 64;
// A batch that grew beyond this is not kept for the next write.
constexpr size_t kKeepBatchBytes = 4u << 20;

sdk::Error corrupt(const std::string& what) {
  return sdk::Error(KVS_E_CORRUPT, "leveldb log: " + what);
}

}  // namespace

Log::Log(const kvs_host* host, const kvs_storage_options& options)
    : host_(host), dir_(options, kTag) {
  const Options parsed = parse_options(options.config_json, Role::kLog);
  db_ = std::make_unique<Database>(host, dir_.path() + kDatabase, parsed, dir_.is_new());
  create_or_recover();
}

void Log::create_or_recover() {
  std::string value;
  if (!db_->get(kBaseKey, nullptr, &value)) {
    if (!dir_.is_new()) throw corrupt("the record of the base is missing");
    leveldb::WriteBatch batch;
    batch.Put(to_leveldb(kBaseKey), encode_base(base_));
    db_->write(&batch, true);
  } else if (!decode_base(value, &base_)) {
    throw corrupt("the record of the base is damaged");
  }
  if (db_->get(kHardStateKey, nullptr, &value) && !decode_hard_state(value, &hard_)) {
    throw corrupt("the record of the hard state is damaged");
  }
  recover_tail();
  recover_garbage();
  if (dir_.is_new()) dir_.finish_create();
}

void Log::recover_tail() {
  last_ = base_.id;
  auto it = db_->iterate(nullptr);
  it->SeekToLast();
  check(it->status());
  if (!it->Valid()) throw corrupt("the database is empty");
  auto position = parse_entry_key(to_view(it->key()));
  if (!position.has_value() || position->epoch < base_.epoch) return;
  if (position->epoch > base_.epoch) throw corrupt("an entry belongs to a later epoch");
  if (position->index <= base_.id.index) return;
  kvs_entry entry;
  if (!decode_entry(to_view(it->value()), position->index, &entry)) {
    throw corrupt("entry " + std::to_string(position->index) + " is damaged");
  }
  last_ = entry.id;
  const EntryKey first(base_.epoch, base_.id.index + 1);
  it->Seek(to_leveldb(first.view()));
  check(it->status());
  if (!it->Valid() || to_view(it->key()) != first.view()) {
    throw corrupt("entry " + std::to_string(base_.id.index + 1) + " is missing");
  }
}

void Log::recover_garbage() {
  auto it = db_->iterate(nullptr);
  it->Seek(to_leveldb(std::string_view(&kEntryPrefix, 1)));
  while (it->Valid()) {
    auto first = parse_entry_key(to_view(it->key()));
    if (!first.has_value()) throw corrupt("a key is damaged");
    if (first->epoch == base_.epoch) {
      if (first->index <= base_.id.index) {
        garbage_.push_back({base_.epoch, first->index, base_.id.index + 1});
      }
      break;
    }
    // The last entry of this older epoch stands before the first of the next.
    it->Seek(to_leveldb(EntryKey(first->epoch + 1, 0).view()));
    if (it->Valid()) {
      it->Prev();
    } else {
      check(it->status());
      it->SeekToLast();
    }
    if (!it->Valid()) break;
    auto end = parse_entry_key(to_view(it->key()));
    if (!end.has_value()) throw corrupt("a key is damaged");
    garbage_.push_back({first->epoch, first->index, end->index + 1});
    it->Next();
  }
  check(it->status());
}

void Log::publish(const kvs_hard_state& hard, const Base& base, const kvs_log_id& last) {
  std::lock_guard lock(mutex_);
  hard_ = hard;
  base_ = base;
  last_ = last;
}

uint64_t Log::sweep(uint64_t count_max, leveldb::WriteBatch* batch) const {
  uint64_t count = 0;
  for (const Garbage& g : garbage_) {
    for (uint64_t index = g.begin; index < g.end; ++index) {
      if (count == count_max) return count;
      batch->Delete(to_leveldb(EntryKey(g.epoch, index).view()));
      ++count;
    }
  }
  return count;
}

void Log::swept(uint64_t count) {
  while (count > 0) {
    Garbage& g = garbage_.front();
    const uint64_t step = std::min(count, g.end - g.begin);
    g.begin += step;
    count -= step;
    if (g.begin == g.end) garbage_.pop_front();
  }
}

void Log::write(const kvs_log_write& w) {
  const kvs_log_id last = sdk::check_log_write(w, base_.id, last_, [this](uint64_t index) {
    uint64_t found = 0;
    if (term(index, &found) != KVS_OK)
      throw corrupt("entry " + std::to_string(index) + " is missing");
    return found;
  });
  batch_.Clear();
  kvs_hard_state hard = hard_;
  if ((w.flags & KVS_LOG_SET_HARD_STATE) != 0) {
    hard = w.hard;
    batch_.Put(to_leveldb(kHardStateKey), encode_hard_state(hard));
  }
  if ((w.flags & KVS_LOG_TRUNCATE) != 0) {
    // Entries that are written anew below need no deletion.
    for (uint64_t index = last.index + 1; index <= last_.index; ++index) {
      batch_.Delete(to_leveldb(EntryKey(base_.epoch, index).view()));
    }
  }
  for (uint64_t i = 0; i < w.entry_count; ++i) {
    encode_entry(w.entries[i], &scratch_);
    batch_.Put(to_leveldb(EntryKey(base_.epoch, w.entries[i].id.index).view()), scratch_);
  }
  const uint64_t count = sweep(kSweepPerWrite + 2 * w.entry_count, &batch_);
  db_->write(&batch_, (w.flags & KVS_LOG_SYNC) != 0);
  swept(count);
  publish(hard, base_, last);
  if (batch_.ApproximateSize() > kKeepBatchBytes) {
    batch_ = leveldb::WriteBatch();
    std::string().swap(scratch_);
  }
}

void Log::compact(const kvs_log_id& upto) {
  if (upto.index > last_.index) {
    throw sdk::Error(KVS_E_INVALID, "cannot compact to " + std::to_string(upto.index) +
                                        ", the last entry is " + std::to_string(last_.index));
  }
  if (upto.index <= base_.id.index) return;
  uint64_t found = 0;
  if (term(upto.index, &found) != KVS_OK || found != upto.term) {
    throw sdk::Error(KVS_E_INVALID, "cannot compact: entry " + std::to_string(upto.index) +
                                        " has another term than " + std::to_string(upto.term));
  }
  const Base base{upto, base_.epoch};
  batch_.Clear();
  batch_.Put(to_leveldb(kBaseKey), encode_base(base));
  // The entries up to the new base become garbage with this very batch.
  const bool extends = !garbage_.empty() && garbage_.back().epoch == base_.epoch;
  if (extends) {
    garbage_.back().end = upto.index + 1;
  } else {
    garbage_.push_back({base_.epoch, base_.id.index + 1, upto.index + 1});
  }
  const uint64_t count = sweep(kSweepPerCompaction, &batch_);
  db_->write(&batch_, false);
  swept(count);
  publish(hard_, base, last_);
}

void Log::reset(const kvs_log_id& id) {
  const Base base{id, base_.epoch + 1};
  batch_.Clear();
  batch_.Put(to_leveldb(kBaseKey), encode_base(base));
  db_->write(&batch_, true);
  if (last_.index > base_.id.index) {
    garbage_.push_back({base_.epoch, base_.id.index + 1, last_.index + 1});
  }
  publish(hard_, base, id);
}

kvs_log_state Log::state() const {
  std::lock_guard lock(mutex_);
  kvs_log_state s{};
  s.hard = hard_;
  s.base = base_.id;
  s.last = last_;
  return s;
}

Base Log::base_at(const Snapshot& snapshot) {
  std::string value;
  Base base;
  if (!db_->get(kBaseKey, &snapshot, &value) || !decode_base(value, &base)) {
    throw corrupt("the record of the base is damaged");
  }
  return base;
}

kvs_status Log::read(uint64_t first, uint64_t max_count, uint64_t max_bytes, kvs_entry_sink sink,
                     void* ctx) {
  const Snapshot snapshot(db_->raw());
  const Base base = base_at(snapshot);
  if (first <= base.id.index) return KVS_E_COMPACTED;
  auto it = db_->iterate(&snapshot);
  uint64_t bytes = 0;
  uint64_t index = first;
  it->Seek(to_leveldb(EntryKey(base.epoch, first).view()));
  for (; it->Valid() && index - first < max_count; it->Next(), ++index) {
    auto position = parse_entry_key(to_view(it->key()));
    kvs_entry entry;
    if (!position.has_value() || position->epoch != base.epoch || position->index != index ||
        !decode_entry(to_view(it->value()), index, &entry)) {
      throw corrupt("entry " + std::to_string(index) + " is missing or damaged");
    }
    if (index > first && (bytes >= max_bytes || entry.data.len > max_bytes - bytes)) return KVS_OK;
    kvs_status status = sink(ctx, &entry);
    if (status != KVS_OK) return status;
    bytes += entry.data.len;
  }
  check(it->status());
  return index == first ? KVS_E_END : KVS_OK;
}

kvs_status Log::term(uint64_t index, uint64_t* term) {
  {
    std::lock_guard lock(mutex_);
    if (index < base_.id.index) return KVS_E_COMPACTED;
    if (index > last_.index) return KVS_E_END;
    if (index == base_.id.index || index == last_.index) {
      *term = index == base_.id.index ? base_.id.term : last_.term;
      return KVS_OK;
    }
  }
  return term_from_database(index, term);
}

kvs_status Log::term_from_database(uint64_t index, uint64_t* term) {
  const Snapshot snapshot(db_->raw());
  const Base base = base_at(snapshot);
  if (index < base.id.index) return KVS_E_COMPACTED;
  if (index == base.id.index) {
    *term = base.id.term;
    return KVS_OK;
  }
  auto it = db_->iterate(&snapshot);
  const EntryKey key(base.epoch, index);
  it->Seek(to_leveldb(key.view()));
  check(it->status());
  if (!it->Valid()) return KVS_E_END;  // truncated since the caller looked
  kvs_entry entry;
  if (to_view(it->key()) != key.view() || !decode_entry(to_view(it->value()), index, &entry)) {
    throw corrupt("entry " + std::to_string(index) + " is missing or damaged");
  }
  *term = entry.id.term;
  return KVS_OK;
}

std::string Log::stats() {
  const kvs_log_state s = state();
  return nlohmann::json{{"engine", "leveldb"},
                        {"base_index", s.base.index},
                        {"last_index", s.last.index},
                        {"memory_bytes", db_->property("leveldb.approximate-memory-usage")},
                        {"failed", latch_.is_set()}}
      .dump();
}

}  // namespace kvstore::storage_leveldb
