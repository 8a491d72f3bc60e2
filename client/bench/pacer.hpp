// When the requests of a load test begin.
//
// Closed loop: whenever a connection is free.  Open loop: request i is meant to begin i / rate
// after the start, whether or not the ones before are answered.  Latency counts from that moment,
// so a server that stalls is charged for every request that it kept from being sent (no coordinated
// omission).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace kvstore::bench {

// Pure: times are nanoseconds of the caller's clock.
class Pacer {
 public:
  struct Plan {
    double rate = 0;  // requests a second; 0: closed loop
    uint64_t warmup_ns = 0;
    uint64_t duration_ns = 0;  // measured, after the warm-up; unused with `count`
    uint64_t count = 0;        // measured requests; 0: by duration
  };
  struct Start {
    uint64_t intended_ns = 0;
    bool measured = false;  // the warm-up is over
  };
  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

  Pacer(const Plan& plan, uint64_t start_ns) : plan_(plan), start_ns_(start_ns) {}

  // The next request, if one is to begin by now.
  std::optional<Start> take(uint64_t now_ns);
  // When take() gives the next one: `now_ns` or before means at once, kNever that there is no more.
  uint64_t next_ns(uint64_t now_ns) const;
  // When measuring begins, and when the last request is meant to begin (kNever with `count`).
  uint64_t measure_ns() const { return start_ns_ + plan_.warmup_ns; }
  uint64_t end_ns() const { return plan_.count != 0 ? kNever : measure_ns() + plan_.duration_ns; }
  // Measured requests of the plan that were not taken by `now_ns`: an open loop falls behind when
  // all connections are busy.
  uint64_t overdue(uint64_t now_ns) const;
  uint64_t measured_count() const { return measured_; }

 private:
  uint64_t intended(uint64_t index, uint64_t now_ns) const;
  bool is_over(uint64_t intended_ns) const;

  Plan plan_;
  uint64_t start_ns_;
  uint64_t taken_ = 0, measured_ = 0;
};

}  // namespace kvstore::bench
