// One database of the state: writer, readers and checkpoints.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <kvstore/abi/state.h>
#include <kvstore/sdk/generations.hpp>

#include "reader_pool.hpp"
#include "sqlite.hpp"

namespace kvstore::storage_sqlite {

// An applied mark with its meta blob, as the database stores them.
struct AppliedMark {
  kvs_log_id at{};
  std::string meta;
};

// Checks the checksum of a row of kv.
uint64_t pair_sum(uint64_t space, std::string_view key, std::string_view value);

// Which way an iterator runs and what it selects; each shape is one SQL text.
struct ScanShape {
  bool reverse = false;
  bool bounded = false;  // has an upper bound
  bool keys_only = false;
  size_t number() const {
    return (reverse ? 1u : 0u) | (bounded ? 2u : 0u) | (keys_only ? 4u : 0u);
  }
};

// A connection of one view with its statements.
class StateReader {
 public:
  StateReader(const std::string& path, const Options& options);

  // A deferred BEGIN takes its snapshot at the first read: reading the mark here pins it.
  kvs_log_id begin();
  void end() noexcept;
  std::string meta();
  Statement& select_value() { return select_value_; }
  // Statements for iterators, kept between them.
  Statement take_scan(const ScanShape& shape);
  void give_scan(const ScanShape& shape, Statement statement) noexcept;

 private:
  Connection connection_;
  Statement begin_, end_, select_mark_, select_meta_, select_value_;
  std::array<std::vector<Statement>, 8> scans_;
};

using StateReaderPool = ReaderPool<StateReader>;

// Shared by the State and the views on it; the last owner closes it, and removes its files unless
// it is in force.
//
// Concurrency: write() and get_many() on one thread; sync() on any, beside it; readers() on any.
class Generation {
 public:
  // create: makes the database, holding the empty state.
  Generation(sdk::GenerationDir dir, const Options& options, bool create);

  void write(const kvs_kv_batch& batch, const kvs_applied& applied);
  // Makes every write that returned before durable, and keeps the write-ahead file small.
  void sync();
  kvs_status get_many(uint32_t space, const kvs_slice* keys, uint32_t n, kvs_found_sink sink,
                      void* ctx);
  AppliedMark mark();

  StateReaderPool& readers() { return *readers_; }
  sdk::GenerationDir& dir() { return dir_; }
  uint64_t file_bytes(const char* suffix) const;

 private:
  void apply(const kvs_kv_op& op);
  void put_applied(const kvs_applied& applied);
  void checkpoint();

  sdk::GenerationDir dir_;
  const std::string path_;
  const Options options_;

  std::mutex writer_mutex_;  // guards the writer connection and its statements
  std::unique_ptr<Connection> writer_;
  Statement put_, delete_, delete_range_, delete_from_, put_mark_, put_meta_, select_value_;
  uint64_t syncs_ = 0;

  std::mutex checkpoint_mutex_;  // guards the checkpoint connection
  std::unique_ptr<Connection> checkpointer_;
  std::unique_ptr<StateReaderPool> readers_;
};

// A generation being filled by a restore: written without journal or syncs, since a crash throws it
// away.
class StagedGeneration {
 public:
  StagedGeneration(const std::string& dir, const Options& options);
  void put(uint32_t space, const kvs_pair* pairs, uint32_t n);
  // Stores the mark, closes the database and makes it durable.
  void finish(const AppliedMark& mark);

 private:
  const std::string dir_;
  std::unique_ptr<Connection> connection_;
  Statement put_;
  uint64_t uncommitted_bytes_ = 0;
};

}  // namespace kvstore::storage_sqlite
