#include "state_batch.hpp"

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

#include "state_format.hpp"

namespace kvstore::storage_leveldb {

bool BatchBuilder::add(const kvs_kv_op& op) {
  if (op.kind == KVS_KV_DELETE_RANGE) return delete_range(op);
  const std::string_view key = space_key(op.space, sdk::view(op.key), &key_);
  if (op.kind == KVS_KV_PUT) {
    batch_.Put(to_leveldb(key), to_leveldb(sdk::view(op.value)));
    if (has_ranges_) pending_.emplace(key);
  } else {
    batch_.Delete(to_leveldb(key));
  }
  flush_if_full();
  return true;
}

bool BatchBuilder::delete_range(const kvs_kv_op& op) {
  const std::string begin(space_key(op.space, sdk::view(op.key), &key_));
  const std::string end = range_end(op.space, sdk::view(op.value));
  // Keys put by earlier operations of this batch are not in the database yet.
  for (auto it = pending_.lower_bound(begin); it != pending_.end() && *it < end;) {
    batch_.Delete(*it);
    it = pending_.erase(it);
  }
  auto it = db_.iterate(nullptr);
  for (it->Seek(begin); it->Valid() && it->key().compare(end) < 0; it->Next()) {
    if (!remove(to_view(it->key()))) return false;
  }
  check(it->status());
  return true;
}

bool BatchBuilder::remove(std::string_view key) {
  if (flush_ == nullptr && range_deletions_ == kChunkDeletions) return false;
  ++range_deletions_;
  batch_.Delete(to_leveldb(key));
  flush_if_full();
  return true;
}

void BatchBuilder::flush_if_full() {
  if (flush_ == nullptr || batch_.ApproximateSize() < kChunkBytes) return;
  flush_(&batch_);
  batch_.Clear();
  pending_.clear();  // they are in the database now
}

void BatchBuilder::add_applied(const kvs_log_id& at, const kvs_slice& meta) {
  batch_.Put(to_leveldb(kAppliedKey), encode_applied(at));
  if (meta.len > 0) batch_.Put(to_leveldb(kMetaKey), to_leveldb(sdk::view(meta)));
}

namespace {

void append_bytes(std::string* out, const kvs_slice& s) {
  char length[8];
  put_be(length, static_cast<uint64_t>(s.len));
  out->append(length, sizeof length);
  out->append(sdk::view(s));
}

// Reads what encode_redo() wrote.
class RedoReader {
 public:
  explicit RedoReader(std::string_view record) : rest_(record) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view take(size_t count) {
    if (rest_.size() < count)
      throw sdk::Error(KVS_E_CORRUPT, "leveldb state: the redo record is cut");
    std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  uint64_t number() { return get_be<uint64_t>(take(8).data()); }
  kvs_slice bytes() { return sdk::slice(take(number())); }

 private:
  std::string_view rest_;
};

}  // namespace

std::string encode_redo(const kvs_kv_batch& batch, const kvs_applied& applied) {
  std::string out = encode_applied(applied.at);
  append_bytes(&out, applied.meta);
  for (uint64_t i = 0; i < batch.op_count; ++i) {
    const kvs_kv_op& op = batch.ops[i];
    out.push_back(static_cast<char>(op.kind));
    out.push_back(static_cast<char>(op.space));
    append_bytes(&out, op.key);
    append_bytes(&out, op.value);
  }
  return out;
}

void apply_redo(Database& db, const std::string& record, bool sync) {
  RedoReader in(record);
  kvs_log_id at{};
  at.term = in.number();
  at.index = in.number();
  const kvs_slice meta = in.bytes();
  BatchBuilder builder(db, true, [&db](leveldb::WriteBatch* piece) { db.write(piece, false); });
  while (!in.at_end()) {
    const std::string_view head = in.take(2);
    kvs_kv_op op{};
    op.kind = static_cast<uint32_t>(head[0]);
    op.space = static_cast<uint32_t>(head[1]);
    op.key = in.bytes();
    op.value = in.bytes();
    if (!builder.add(op)) throw sdk::Error(KVS_E_INTERNAL, "leveldb state: a piece was refused");
  }
  builder.add_applied(at, meta);
  builder.batch()->Delete(to_leveldb(kRedoKey));
  db.write(builder.batch(), sync);
}

}  // namespace kvstore::storage_leveldb
