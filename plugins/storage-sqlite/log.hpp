// kvstore.log/1 on one SQLite database.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include <kvstore/abi/log.h>
#include <kvstore/sdk/data_dir.hpp>
#include <kvstore/sdk/failure_latch.hpp>

#include "reader_pool.hpp"
#include "sqlite.hpp"

namespace kvstore::storage_sqlite {

// A connection of the log's readers with its statements.
struct LogReader {
  LogReader(const std::string& path, const Options& options);
  // The base, read first in the transaction of which it becomes part.
  kvs_log_id base();

  Connection connection;
  Statement begin, end, select_base, select_entries, select_term;
};

// Lifecycle: one object per open instance.  Each write is one transaction.
// Concurrency: write(), compact(), reset() on one thread; the readers on any, beside it, each call
// in one read transaction. Errors: sdk::Error; the C functions in log_table.cpp put the latch
// around every call.
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
  void open_database();
  void recover();
  void store_hard_state(const kvs_hard_state& hard);
  void store_base(const kvs_log_id& base);
  void insert_entries(const kvs_log_write& w);
  // Deletes at most count_max compacted entries and returns the first one left.
  uint64_t sweep(uint64_t count_max, uint64_t base_index);
  void publish(const kvs_hard_state& hard, const kvs_log_id& base, const kvs_log_id& last);

  sdk::DataDir dir_;
  const Options options_;
  sdk::FailureLatch latch_;
  std::string db_dir_;

  std::unique_ptr<Connection> writer_;
  Statement put_meta_, insert_, truncate_, delete_range_, delete_all_;
  std::unique_ptr<ReaderPool<LogReader>> readers_;

  // What readers see; written by the writer only.
  mutable std::mutex mutex_;
  kvs_hard_state hard_{};
  kvs_log_id base_{};
  kvs_log_id last_{};

  // Of the writer: entries from here up to the base await their deletion.
  uint64_t sweep_from_ = 1;
  uint64_t empty_syncs_ = 0;
};

}  // namespace kvstore::storage_sqlite
