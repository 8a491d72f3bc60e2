// kvstore.log/1 on one LevelDB database.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include <kvstore/abi/log.h>
#include <kvstore/sdk/data_dir.hpp>
#include <kvstore/sdk/failure_latch.hpp>

#include "database.hpp"
#include "log_format.hpp"

namespace kvstore::storage_leveldb {

// Lifecycle: one object per open instance.  Each write is one LevelDB batch, which is atomic, so
// hard state, truncation and entries survive a crash together or not at all, and batches survive in
// order. Concurrency: write(), compact(), reset() on one thread; the readers on any, beside it.
// Readers take a LevelDB snapshot and derive base and entries from it, so they never see half of a
// change. Errors: sdk::Error; the C functions in log.cpp put the latch around every call.
class Log {
 public:
  Log(const kvs_host* host, const kvs_storage_options& options);

  void write(const kvs_log_write& w);
  void compact(const kvs_log_id& upto);
  void reset(const kvs_log_id& base);

  kvs_log_state state() const;
  kvs_status read(uint64_t first, uint64_t max_count, uint64_t max_bytes, kvs_entry_sink sink,
                  void* ctx);
  // COMPACTED below the base, END above the last entry.
  kvs_status term(uint64_t index, uint64_t* term);
  std::string stats();

  sdk::FailureLatch& latch() { return latch_; }

 private:
  // Entries that nobody can see any more: begin..end of one epoch.
  struct Garbage {
    uint32_t epoch;
    uint64_t begin;
    uint64_t end;
  };

  void create_or_recover();
  void recover_tail();
  void recover_garbage();
  Base base_at(const Snapshot& snapshot);
  kvs_status term_from_database(uint64_t index, uint64_t* term);
  // Adds at most count_max deletions to the batch and returns how many.
  uint64_t sweep(uint64_t count_max, leveldb::WriteBatch* batch) const;
  void swept(uint64_t count);
  void publish(const kvs_hard_state& hard, const Base& base, const kvs_log_id& last);

  const kvs_host* host_;
  sdk::DataDir dir_;
  std::unique_ptr<Database> db_;
  sdk::FailureLatch latch_;

  // What readers see; written by the writer only.
  mutable std::mutex mutex_;
  kvs_hard_state hard_{};
  Base base_;
  kvs_log_id last_{};

  // Of the writer.
  std::deque<Garbage> garbage_;
  leveldb::WriteBatch batch_;
  std::string scratch_;
};

}  // namespace kvstore::storage_leveldb
