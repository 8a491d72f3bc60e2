// kvstore.state/1 on LevelDB databases, one per generation.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include <kvstore/abi/state.h>
#include <kvstore/sdk/data_dir.hpp>
#include <kvstore/sdk/failure_latch.hpp>
#include <kvstore/sdk/generations.hpp>
#include <kvstore/sdk/pair_buffer.hpp>

#include "database.hpp"

namespace kvstore::storage_leveldb {

// A database of the state in a directory of its own, shared by the State and the views on it; the
// last owner closes it, and removes its files unless it is in force.
class Generation {
 public:
  Generation(const kvs_host* host, sdk::GenerationDir dir, const Options& options, bool create)
      : dir_(std::move(dir)), db_(host, dir_.path(), options, create) {}

  sdk::GenerationDir& dir() { return dir_; }
  Database& db() { return db_; }

 private:
  sdk::GenerationDir dir_;
  Database db_;
};

// Concurrency: write(), get_many() and commits on one thread; sync(), open_view() and
// begin_restore() on any, beside it.  Errors: sdk::Error; state_table.cpp puts the latch around
// every call.
class State {
 public:
  State(const kvs_host* host, const kvs_storage_options& options);

  void write(const kvs_kv_batch& batch);
  kvs_log_id sync();
  kvs_status get_many(uint32_t space, const kvs_slice* keys, uint32_t n, kvs_found_sink sink,
                      void* ctx);
  std::string stats();

  // The generation in force with a snapshot of it.
  std::shared_ptr<Generation> pin(std::optional<Snapshot>* snapshot);

  std::shared_ptr<Generation> new_generation();
  // Puts a filled generation in force.  From the switch of the pointer on, a failure leaves it open
  // which one is in force: the caller latches it.
  void commit(std::shared_ptr<Generation> next, const kvs_applied& applied);

  // The latch outlives the State in the views.
  const std::shared_ptr<sdk::FailureLatch>& latch() const { return latch_; }

 private:
  void recover(Generation& generation);
  void write_in_pieces(const kvs_kv_batch& batch, const kvs_applied& applied, bool sync);
  std::shared_ptr<Generation> current() const;

  const kvs_host* host_;
  sdk::DataDir dir_;
  const Options options_;
  sdk::Generations generations_;
  std::shared_ptr<sdk::FailureLatch> latch_ = std::make_shared<sdk::FailureLatch>();

  // Held for a moment only, except by a write in pieces, which no view may see half of.
  mutable std::mutex mutex_;
  std::shared_ptr<Generation> current_;
  kvs_log_id applied_{};

  std::string scratch_;  // of the writer
};

// One thread at a time.
class View {
 public:
  explicit View(State& state) : latch_(state.latch()) { generation_ = state.pin(&snapshot_); }

  kvs_status applied(kvs_log_id* at, kvs_slice_sink meta, void* ctx);
  kvs_status get(uint32_t space, std::string_view key, kvs_slice_sink sink, void* ctx);
  std::unique_ptr<leveldb::Iterator> iterate() { return generation_->db().iterate(&*snapshot_); }
  sdk::FailureLatch& latch() { return *latch_; }

 private:
  std::shared_ptr<sdk::FailureLatch> latch_;
  // Destroyed in reverse: the snapshot must go before the generation.
  std::shared_ptr<Generation> generation_;
  std::optional<Snapshot> snapshot_;
  std::string key_;
  std::string value_;
};

// One thread at a time, like its view.
class Iter {
 public:
  Iter(View& view, const kvs_iter_options& options);

  kvs_status next(kvs_pair* out, uint32_t cap, uint64_t bytes_max, uint32_t* n);
  void seek(std::string_view key);
  sdk::FailureLatch& latch() { return view_.latch(); }

 private:
  void position(const std::string& target, bool inclusive);
  bool in_range() const;

  View& view_;
  const uint32_t space_;
  const bool reverse_;
  const bool keys_only_;
  std::string lower_;  // inclusive, with the space
  std::string upper_;  // exclusive, with the space
  std::unique_ptr<leveldb::Iterator> it_;
  sdk::PairBuffer pairs_;
};

// One thread at a time.  Destroyed without a commit it leaves nothing behind.
class Restore {
 public:
  explicit Restore(State& state) : state_(state), next_(state.new_generation()) {}

  void put(uint32_t space, const kvs_pair* pairs, uint32_t n);
  void commit(const kvs_applied& applied);
  State& state() { return state_; }

 private:
  State& state_;
  std::shared_ptr<Generation> next_;
  leveldb::WriteBatch batch_;
  std::string key_;
};

}  // namespace kvstore::storage_leveldb
