// A histogram of durations with a high dynamic range: buckets that are narrow for short durations
// and wide for long ones, so that every value is kept within 1/1024 of itself in fixed memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvstore::bench {

// Values are nanoseconds; those above kValueMax (73 minutes) count as kValueMax.
class Histogram {
 public:
  static constexpr uint64_t kValueMax = (uint64_t{1} << 42) - 1;

  Histogram();

  void record(uint64_t value);
  void merge(const Histogram& other);

  uint64_t count() const { return count_; }
  // Exact; 0 without values.
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  uint64_t max() const { return max_; }
  double mean() const;
  // The value that `percent` (above 0, at most 100) of all values do not exceed, at most 1/1024 too
  // large; 0 without values.
  uint64_t percentile(double percent) const;

 private:
  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0, min_ = kValueMax, max_ = 0;
  double sum_ = 0;
};

}  // namespace kvstore::bench
