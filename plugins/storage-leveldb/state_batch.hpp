// Turning a kvs_kv_batch into LevelDB batches.
//
// LevelDB has no range deletion: the keys are looked up and deleted one by one.  A batch whose
// deletions stay below kChunkDeletions becomes one atomic WriteBatch.  A larger one would hold all
// its keys in memory; it is written in pieces instead, made atomic by a redo record: the record,
// holding the whole batch, is written first and removed with the last piece.  Applying a batch
// twice gives the same result as once, so recovery simply applies the record again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include <kvstore/abi/state.h>

#include <leveldb/write_batch.h>

#include "database.hpp"

namespace kvstore::storage_leveldb {

// Applies operations in order to a WriteBatch that it owns.
// With a flush function the batch is handed to it whenever it is full; without one, add() gives up
// (false) when the deletions of ranges exceed kChunkDeletions.
class BatchBuilder {
 public:
  static constexpr uint64_t kChunkDeletions = 16384;
  static constexpr size_t kChunkBytes = 2u << 20;
  using Flush = std::function<void(leveldb::WriteBatch*)>;

  // has_ranges: the operations contain a DELETE_RANGE, which must see the keys put before it in the
  // batch.
  BatchBuilder(Database& db, bool has_ranges, Flush flush = nullptr)
      : db_(db), has_ranges_(has_ranges), flush_(std::move(flush)) {}

  [[nodiscard]] bool add(const kvs_kv_op& op);
  void add_applied(const kvs_log_id& at, const kvs_slice& meta);
  leveldb::WriteBatch* batch() { return &batch_; }

 private:
  bool delete_range(const kvs_kv_op& op);
  bool remove(std::string_view key);
  void flush_if_full();

  Database& db_;
  const bool has_ranges_;
  Flush flush_;
  leveldb::WriteBatch batch_;
  std::set<std::string, std::less<>> pending_;  // keys put in batch_, if has_ranges_
  uint64_t range_deletions_ = 0;
  std::string key_;
};

// The redo record of a batch, and its way back.
std::string encode_redo(const kvs_kv_batch& batch, const kvs_applied& applied);
// Applies a redo record in pieces and removes it with the last one; `sync`: that one is synced.
// Throws CORRUPT when the record is damaged.
void apply_redo(Database& db, const std::string& record, bool sync);

}  // namespace kvstore::storage_leveldb
