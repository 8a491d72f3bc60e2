// A multi-producer, single-consumer queue bounded in items and bytes, drained whole.
//
// Lifecycle: producers push until close(); the consumer drains until drain() returns false.
// Concurrency: push() and close() from any thread; drain() from one thread.  A push wakes the
// consumer only when the queue goes from empty to non-empty, so one wake-up serves a whole batch.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace kvstore {

template <typename T>
class BoundedQueue {
 public:
  BoundedQueue(size_t items_max, size_t bytes_max) : items_max_(items_max), bytes_max_(bytes_max) {}

  // False when the queue is closed or full; `item` is then untouched.  An item larger than
  // bytes_max is taken when the queue is empty, so that nothing waits for ever.
  bool push(T&& item, size_t bytes) {
    std::lock_guard lock(mutex_);
    if (closed_ || items_.size() >= items_max_) return false;
    if (!items_.empty() && bytes_ + bytes > bytes_max_) return false;
    return put(std::move(item), bytes);
  }

  // Takes the item whatever the bounds say (for items whose number is bounded elsewhere); false
  // only when closed.
  bool push_unbounded(T&& item, size_t bytes = 0) {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    return put(std::move(item), bytes);
  }

  // Waits for items and swaps all of them into `out` (cleared first).  False once closed and empty.
  bool drain(std::vector<T>* out) {
    out->clear();
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !items_.empty(); });
    return swap_out(out);
  }

  // Like drain() but gives up after `timeout`; then `out` is empty and the result is true.
  template <typename Duration>
  bool drain_for(std::vector<T>* out, Duration timeout) {
    out->clear();
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, timeout, [this] { return closed_ || !items_.empty(); });
    if (!closed_ && items_.empty()) return true;
    return swap_out(out);
  }

  // Refuses further items; those inside can still be drained.
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    ready_.notify_all();
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }
  size_t bytes() const {
    std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  bool put(T&& item, size_t bytes) {
    items_.push_back(std::move(item));
    bytes_ += bytes;
    if (items_.size() == 1) ready_.notify_one();
    return true;
  }
  bool swap_out(std::vector<T>* out) {
    if (items_.empty()) return false;
    out->swap(items_);
    bytes_ = 0;
    return true;
  }

  const size_t items_max_;
  const size_t bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<T> items_;
  size_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace kvstore
