// A bounded pool of reader connections.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <kvstore/sdk/guard.hpp>

namespace kvstore::storage_sqlite {

// Lifecycle: must outlive its leases.  Concurrency: all functions from any thread; a lease is used
// by one thread at a time.  A reader is made when none is idle and fewer than `max` exist.
template <typename Reader>
class ReaderPool {
 public:
  using Make = std::function<std::unique_ptr<Reader>()>;

  ReaderPool(size_t idle_max, size_t max, Make make)
      : idle_max_(idle_max), max_(max), make_(std::move(make)) {
    idle_.reserve(idle_max);  // so that giving back never allocates
  }

  // Returns its reader to the pool when destroyed, unless the reader was dropped.
  class Lease {
   public:
    Lease(ReaderPool& pool, std::unique_ptr<Reader> reader)
        : pool_(&pool), reader_(std::move(reader)) {}
    Lease(Lease&& other) noexcept : pool_(other.pool_), reader_(std::move(other.reader_)) {
      other.pool_ = nullptr;
    }
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (pool_ != nullptr) pool_->give_back(std::move(reader_));
    }
    Reader* operator->() { return reader_.get(); }
    Reader& operator*() { return *reader_; }

   private:
    ReaderPool* pool_;
    std::unique_ptr<Reader> reader_;
  };

  // When all `max` are taken: BUSY, wait for one, or make one more.
  enum class AtLimit { kFail, kWait, kExceed };
  Lease take(AtLimit at_limit) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !paused_ && (at_limit != AtLimit::kWait || taken_ < max_); });
    if (taken_ >= max_ && at_limit != AtLimit::kExceed) {
      throw sdk::Error(KVS_E_BUSY, "all " + std::to_string(max_) +
                                       " reader connections are in use (option readers_max)");
    }
    ++taken_;
    std::unique_ptr<Reader> reader;
    if (!idle_.empty()) {
      reader = std::move(idle_.back());
      idle_.pop_back();
      return Lease(*this, std::move(reader));
    }
    lock.unlock();
    try {
      return Lease(*this, make_());
    } catch (...) {
      give_back(nullptr);
      throw;
    }
  }

  // Holds back new leases and waits for the present ones to end.  True when none is left; resume()
  // must follow in either case.
  bool pause(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    paused_ = true;
    return changed_.wait_for(lock, patience, [this] { return taken_ == 0; });
  }
  void resume() {
    std::lock_guard lock(mutex_);
    paused_ = false;
    changed_.notify_all();
  }

  size_t taken() const {
    std::lock_guard lock(mutex_);
    return taken_;
  }

 private:
  void give_back(std::unique_ptr<Reader> reader) {
    std::lock_guard lock(mutex_);
    --taken_;
    if (reader != nullptr && idle_.size() < idle_max_) idle_.push_back(std::move(reader));
    changed_.notify_all();
  }

  const size_t idle_max_;
  const size_t max_;
  const Make make_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Reader>> idle_;
  size_t taken_ = 0;
  bool paused_ = false;
};

}  // namespace kvstore::storage_sqlite
