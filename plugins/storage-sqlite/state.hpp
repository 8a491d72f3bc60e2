// kvstore.state/1 on SQLite databases, one per generation.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <kvstore/abi/state.h>
#include <kvstore/sdk/data_dir.hpp>
#include <kvstore/sdk/failure_latch.hpp>
#include <kvstore/sdk/generations.hpp>
#include <kvstore/sdk/pair_buffer.hpp>

#include "generation.hpp"

namespace kvstore::storage_sqlite {

// Concurrency: write(), get_many() and commits on one thread; sync(), current() and new restores on
// any, beside it.  Errors: sdk::Error; state_table.cpp puts the latch around every call.
class State {
 public:
  State(const kvs_host* host, const kvs_storage_options& options);

  void write(const kvs_kv_batch& batch);
  kvs_log_id sync();
  kvs_status get_many(uint32_t space, const kvs_slice* keys, uint32_t n, kvs_found_sink sink,
                      void* ctx);
  std::string stats();

  // The generation in force.
  std::shared_ptr<Generation> current() const;

  sdk::GenerationDir new_generation();
  // Finishes a staged generation, which filled `dir`, and puts it in force.  From the switch of the
  // pointer on, a failure leaves it open which one is in force: then the latch is set.
  void commit(StagedGeneration& staged, sdk::GenerationDir dir, const kvs_applied& applied);

  const Options& options() const { return options_; }
  // The writer's own views are never refused: what is committed must be applied.
  bool on_writer_thread() const { return writer_thread_.load() == std::this_thread::get_id(); }
  // The latch outlives the State in the views.
  const std::shared_ptr<sdk::FailureLatch>& latch() const { return latch_; }

 private:
  sdk::DataDir dir_;
  const Options options_;
  sdk::Generations generations_;
  std::shared_ptr<sdk::FailureLatch> latch_ = std::make_shared<sdk::FailureLatch>();

  mutable std::mutex mutex_;
  std::shared_ptr<Generation> current_;
  kvs_log_id applied_{};
  std::atomic<std::thread::id> writer_thread_{};
};

// One thread at a time.
class View {
 public:
  explicit View(State& state);
  ~View();

  kvs_status applied(kvs_log_id* at, kvs_slice_sink meta, void* ctx);
  kvs_status get(uint32_t space, std::string_view key, kvs_slice_sink sink, void* ctx);
  StateReader& reader() { return *lease_; }
  sdk::FailureLatch& latch() { return *latch_; }

 private:
  std::shared_ptr<sdk::FailureLatch> latch_;
  // Destroyed in reverse: the connection returns to its pool before the generation may go.
  std::shared_ptr<Generation> generation_;
  StateReaderPool::Lease lease_;
  kvs_log_id at_;
};

// One thread at a time, like its view.
class Iter {
 public:
  Iter(View& view, const kvs_iter_options& options);
  ~Iter();

  kvs_status next(kvs_pair* out, uint32_t cap, uint64_t bytes_max, uint32_t* n);
  void seek(std::string_view key);
  sdk::FailureLatch& latch() { return view_.latch(); }

 private:
  void start(std::string lower, std::optional<std::string> upper);
  void step();
  void release() noexcept;

  View& view_;
  const uint32_t space_;
  const bool reverse_;
  const bool keys_only_;
  const std::string lower_;                 // inclusive
  const std::optional<std::string> upper_;  // exclusive
  // What the running statement has bound.
  ScanShape shape_;
  std::string bound_lower_;
  std::optional<std::string> bound_upper_;
  std::optional<Statement> scan_;
  bool has_row_ = false;
  sdk::PairBuffer pairs_;
};

// One thread at a time.  Destroyed without a commit it leaves nothing behind.
class Restore {
 public:
  explicit Restore(State& state)
      : state_(state), dir_(state.new_generation()), staged_(dir_.path(), state.options()) {}

  void put(uint32_t space, const kvs_pair* pairs, uint32_t n);
  void commit(const kvs_applied& applied);
  State& state() { return state_; }

 private:
  State& state_;
  sdk::GenerationDir dir_;
  StagedGeneration staged_;
};

}  // namespace kvstore::storage_sqlite
