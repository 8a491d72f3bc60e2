// Virtual time: a schedule of actions, run in order by one thread, and the only randomness.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <tuple>
#include <utility>
#include <vector>

#include "raft/detail/random.hpp"

namespace kvstore::sim {

inline constexpr uint64_t kMs = 1'000;  // times are in microseconds

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  uint64_t now_us() const { return now_us_; }

  void after(uint64_t delay_us, std::function<void()> action) {
    schedule_.push({now_us_ + delay_us, ++order_, std::move(action)});
  }

  // Runs until `done` holds or the time is up; whether it held.
  bool run_until(uint64_t limit_us, const std::function<bool()>& done) {
    const uint64_t end_us = now_us_ + limit_us;
    while (!done()) {
      if (stopped_) return false;
      if (schedule_.empty() || schedule_.top().time > end_us) {
        now_us_ = end_us;
        return false;
      }
      run_next();
    }
    return true;
  }
  void run_for(uint64_t duration_us) {
    run_until(duration_us, [] { return false; });
  }

  // Called after each action.
  std::function<void()> after_each;
  // From now on nothing runs any more: what failed is looked at as it is.
  void stop() { stopped_ = true; }
  bool stopped() const { return stopped_; }

  uint64_t below(uint64_t bound) { return random_.next() % bound; }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  bool chance(uint64_t percent) { return below(100) < percent; }
  uint64_t random() { return random_.next(); }

 private:
  struct Scheduled {
    uint64_t time;
    uint64_t order;
    std::function<void()> action;
    bool operator<(const Scheduled& other) const {
      return std::tie(time, order) > std::tie(other.time, other.order);
    }
  };

  void run_next() {
    // Moved out of the heap's top, whose order does not depend on the action.
    Scheduled next = std::move(const_cast<Scheduled&>(schedule_.top()));
    schedule_.pop();
    now_us_ = next.time;
    next.action();
    if (after_each) after_each();
  }

  raft::Random random_;
  std::priority_queue<Scheduled> schedule_;
  uint64_t now_us_ = 1'000'000 * kMs;  // not 0, as no clock of a machine is
  uint64_t order_ = 0;
  bool stopped_ = false;
};

}  // namespace kvstore::sim
