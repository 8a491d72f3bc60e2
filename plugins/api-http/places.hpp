// How many requests of a kind may be under way.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "load.hpp"

namespace kvstore::http {

// So many places at a time, taken and given back without a lock.
//
// A request may leave its place while it waits for something, and come back for one.  Who has such
// requests says with want() how many they are: free places are kept for them, and `on_free` tells
// when to look again.
//
// Concurrency: [any-thread]; want() and enter_wanted(): one thread at a time.
class Places {
 public:
  // `shown` shows what is taken; null: nobody does.
  explicit Places(uint64_t limit, Load* shown = nullptr) : limit_(limit), shown_(shown) {}

  uint64_t limit() const { return limit_; }
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }

  // Before the first enter().
  void set_on_free(std::function<void()> on_free) { on_free_ = std::move(on_free); }

  // False when no place is free, or only those that are wanted.
  bool enter() { return take(wanted_.load()); }
  void leave() {
    used_.fetch_sub(1);
    if (shown_ != nullptr) shown_->leave();
    if (wanted_.load() != 0) on_free_();
  }

  // The order of these and of those in leave() is total: a place that is given back after
  // enter_wanted() found none is told about.
  void want(uint64_t requests) { wanted_.store(requests); }
  bool enter_wanted() { return take(0); }

 private:
  bool take(uint64_t kept) {
    uint64_t used = used_.load();
    do {
      if (used + kept >= limit_) return false;
    } while (!used_.compare_exchange_weak(used, used + 1));
    if (shown_ != nullptr) shown_->enter();
    return true;
  }

  const uint64_t limit_;
  Load* const shown_;
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> wanted_{0};
  std::function<void()> on_free_;
};

// A place that was entered, given back by the destructor.
class Place {
 public:
  Place() = default;
  explicit Place(Places* of) : of_(of) {}
  Place(Place&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  Place& operator=(Place&& other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }
  ~Place() { give_back(); }

  explicit operator bool() const { return of_ != nullptr; }
  void give_back() {
    if (of_ != nullptr) std::exchange(of_, nullptr)->leave();
  }

 private:
  Places* of_ = nullptr;
};

}  // namespace kvstore::http
