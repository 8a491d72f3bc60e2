#include "state.hpp"

#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

#include <nlohmann/json.hpp>

#include "state_batch.hpp"
#include "state_format.hpp"

namespace kvstore::storage_leveldb {
namespace {

constexpr sdk::EngineTag kTag{"leveldb", KVS_STATE_ID, 1};

sdk::Error corrupt(const std::string& what) {
  return sdk::Error(KVS_E_CORRUPT, "leveldb state: " + what);
}

kvs_log_id applied_of(Database& db, const Snapshot* snapshot) {
  std::string value;
  kvs_log_id at{};
  if (!db.get(kAppliedKey, snapshot, &value) || !decode_applied(value, &at)) {
    throw corrupt("the applied mark is missing or damaged");
  }
  return at;
}

bool has_ranges(const kvs_kv_batch& batch) {
  for (uint64_t i = 0; i < batch.op_count; ++i) {
    if (batch.ops[i].kind == KVS_KV_DELETE_RANGE) return true;
  }
  return false;
}

}  // namespace

State::State(const kvs_host* host, const kvs_storage_options& options)
    : host_(host),
      dir_(options, kTag),
      options_(parse_options(options.config_json, Role::kState)),
      generations_(dir_.path(), kTag.engine) {
  const uint64_t number = generations_.current();
  if (number == 0 && !dir_.is_new()) throw corrupt("CURRENT is missing in " + dir_.path());
  generations_.remove_others(number);
  const bool create = number == 0;
  sdk::GenerationDir dir = create ? generations_.create() : generations_.open(number);
  current_ = std::make_shared<Generation>(host, std::move(dir), options_, create);
  if (create) {
    leveldb::WriteBatch batch;
    batch.Put(to_leveldb(kAppliedKey), encode_applied(applied_));
    current_->db().write(&batch, true);
    current_->dir().keep();
    generations_.set_current(current_->dir().number());
  }
  recover(*current_);
  if (dir_.is_new()) dir_.finish_create();
}

void State::recover(Generation& generation) {
  std::string redo;
  if (generation.db().get(kRedoKey, nullptr, &redo)) apply_redo(generation.db(), redo, false);
  applied_ = applied_of(generation.db(), nullptr);
}

std::shared_ptr<Generation> State::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

void State::write(const kvs_kv_batch& batch) {
  sdk::check_kv_batch(batch, applied_);
  const kvs_applied applied = sdk::copy_options(batch.applied);
  const bool sync = (batch.flags & KVS_KV_SYNC) != 0;
  Database& db = current_->db();
  BatchBuilder builder(db, has_ranges(batch));
  for (uint64_t i = 0; i < batch.op_count; ++i) {
    if (!builder.add(batch.ops[i])) return write_in_pieces(batch, applied, sync);
  }
  builder.add_applied(applied.at, applied.meta);
  db.write(builder.batch(), sync);
  std::lock_guard lock(mutex_);
  applied_ = applied.at;
}

void State::write_in_pieces(const kvs_kv_batch& batch, const kvs_applied& applied, bool sync) {
  const std::string record = encode_redo(batch, applied);
  std::lock_guard lock(mutex_);
  leveldb::WriteBatch intent;
  intent.Put(to_leveldb(kRedoKey), record);
  current_->db().write(&intent, false);
  apply_redo(current_->db(), record, sync);
  applied_ = applied.at;
}

kvs_log_id State::sync() {
  std::shared_ptr<Generation> generation;
  kvs_log_id at;
  {
    std::lock_guard lock(mutex_);
    generation = current_;
    at = applied_;
  }
  generation->db().sync();
  return at;
}

kvs_status State::get_many(uint32_t space, const kvs_slice* keys, uint32_t n, kvs_found_sink sink,
                           void* ctx) {
  sdk::check_space(space);
  std::string value;
  for (uint32_t i = 0; i < n; ++i) {
    const bool found =
        current_->db().get(space_key(space, sdk::view(keys[i]), &scratch_), nullptr, &value);
    const kvs_slice slice = found ? sdk::slice(value) : kvs_slice{nullptr, 0};
    const kvs_status status = sink(ctx, i, found ? 1 : 0, &slice);
    if (status != KVS_OK) return status;
  }
  return KVS_OK;
}

std::string State::stats() {
  std::shared_ptr<Generation> generation = current();
  Database& db = generation->db();
  uint64_t files = 0;
  for (int level = 0; level < 7; ++level) {
    files += db.property(("leveldb.num-files-at-level" + std::to_string(level)).c_str());
  }
  const std::string begin(1, '\0');
  const std::string end(1, '\x11');
  const leveldb::Range all(begin, end);
  uint64_t bytes = 0;
  db.raw().GetApproximateSizes(&all, 1, &bytes);
  return nlohmann::json{{"engine", "leveldb"},
                        {"generation", generation->dir().number()},
                        {"table_files", files},
                        {"table_bytes", bytes},
                        {"memory_bytes", db.property("leveldb.approximate-memory-usage")},
                        {"failed", latch_->is_set()}}
      .dump();
}

std::shared_ptr<Generation> State::pin(std::optional<Snapshot>* snapshot) {
  std::lock_guard lock(mutex_);
  snapshot->emplace(current_->db().raw());
  return current_;
}

std::shared_ptr<Generation> State::new_generation() {
  return std::make_shared<Generation>(host_, generations_.create(), options_, true);
}

void State::commit(std::shared_ptr<Generation> next, const kvs_applied& applied) {
  std::string meta(sdk::view(applied.meta));
  if (meta.empty()) current_->db().get(kMetaKey, nullptr, &meta);
  leveldb::WriteBatch batch;
  batch.Put(to_leveldb(kAppliedKey), encode_applied(applied.at));
  if (!meta.empty()) batch.Put(to_leveldb(kMetaKey), meta);
  next->db().write(&batch, true);
  // From here on this generation must survive, whatever happens to the pointer.
  next->dir().keep();
  kvs_status status =
      latch_->write(nullptr, [&] { generations_.set_current(next->dir().number()); });
  if (status != KVS_OK) latch_->check();
  {
    std::lock_guard lock(mutex_);
    current_->dir().discard();
    current_.swap(next);
    applied_ = applied.at;
  }
  // Without a view on it the old generation is removed here, while nobody waits.
}

// ---- views

kvs_status View::applied(kvs_log_id* at, kvs_slice_sink meta, void* ctx) {
  *at = applied_of(generation_->db(), &*snapshot_);
  if (meta == nullptr) return KVS_OK;
  value_.clear();
  generation_->db().get(kMetaKey, &*snapshot_, &value_);
  const kvs_slice slice = sdk::slice(value_);
  return meta(ctx, &slice);
}

kvs_status View::get(uint32_t space, std::string_view key, kvs_slice_sink sink, void* ctx) {
  sdk::check_space(space);
  if (!generation_->db().get(space_key(space, key, &key_), &*snapshot_, &value_)) {
    return KVS_E_NOT_FOUND;
  }
  const kvs_slice slice = sdk::slice(value_);
  return sink(ctx, &slice);
}

Iter::Iter(View& view, const kvs_iter_options& options)
    : view_(view),
      space_(options.space),
      reverse_((options.flags & KVS_ITER_REVERSE) != 0),
      keys_only_((options.flags & KVS_ITER_KEYS_ONLY) != 0),
      upper_(range_end(options.space, sdk::view(options.upper))),
      it_(view.iterate()) {
  space_key(options.space, sdk::view(options.lower), &lower_);
  if (reverse_) {
    position(upper_, false);
  } else {
    position(lower_, true);
  }
}

void Iter::position(const std::string& target, bool inclusive) {
  it_->Seek(target);
  if (!reverse_) return;
  if (!it_->Valid()) {
    check(it_->status());
    it_->SeekToLast();
  } else if (!inclusive || it_->key() != leveldb::Slice(target)) {
    it_->Prev();
  }
}

void Iter::seek(std::string_view key) {
  std::string target;
  space_key(space_, key, &target);
  if (reverse_) {
    const bool beyond = target >= upper_;
    position(beyond ? upper_ : target, !beyond);
  } else {
    position(target < lower_ ? lower_ : target, true);
  }
}

bool Iter::in_range() const {
  if (!it_->Valid()) return false;
  return reverse_ ? it_->key().compare(lower_) >= 0 : it_->key().compare(upper_) < 0;
}

kvs_status Iter::next(kvs_pair* out, uint32_t cap, uint64_t bytes_max, uint32_t* n) {
  sdk::require(cap > 0, "cap is 0");
  *n = 0;
  pairs_.clear();
  while (in_range()) {
    const std::string_view key = to_view(it_->key()).substr(1);
    const std::string_view value = keys_only_ ? std::string_view() : to_view(it_->value());
    if (!pairs_.fits(key.size() + value.size(), cap, bytes_max)) break;
    pairs_.add(key, value);
    reverse_ ? it_->Prev() : it_->Next();
  }
  check(it_->status());
  if (pairs_.count() == 0) return KVS_E_END;
  pairs_.export_to(out);
  *n = pairs_.count();
  return KVS_OK;
}

// ---- restore

void Restore::put(uint32_t space, const kvs_pair* pairs, uint32_t n) {
  sdk::check_space(space);
  for (uint32_t i = 0; i < n; ++i) {
    batch_.Put(to_leveldb(space_key(space, sdk::view(pairs[i].key), &key_)),
               to_leveldb(sdk::view(pairs[i].value)));
    if (batch_.ApproximateSize() < BatchBuilder::kChunkBytes) continue;
    next_->db().write(&batch_, false);
    batch_.Clear();
  }
}

void Restore::commit(const kvs_applied& applied) {
  sdk::check_slice(applied.meta);
  next_->db().write(&batch_, false);
  state_.commit(next_, applied);
}

}  // namespace kvstore::storage_leveldb
