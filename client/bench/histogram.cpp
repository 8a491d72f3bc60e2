#include "histogram.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

namespace kvstore::bench {
namespace {

// Values below 2 * kHalf have a bucket each; above, every power of two has kHalf buckets.
constexpr unsigned kHalfBits = 10;
constexpr uint64_t kHalf = uint64_t{1} << kHalfBits;

unsigned shift_of(uint64_t value) {
  const auto width = static_cast<unsigned>(std::bit_width(value));
  return width <= kHalfBits + 1 ? 0 : width - (kHalfBits + 1);
}

size_t bucket_of(uint64_t value) {
  const unsigned shift = shift_of(value);
  return static_cast<size_t>(shift * kHalf + (value >> shift));
}

// The largest value that falls into the bucket.
uint64_t last_of(size_t bucket) {
  if (bucket < 2 * kHalf) return bucket;
  const uint64_t shift = bucket / kHalf - 1;
  return ((bucket - shift * kHalf + 1) << shift) - 1;
}

}  // namespace

Histogram::Histogram() : buckets_(bucket_of(kValueMax) + 1) {}

void Histogram::record(uint64_t value) {
  value = std::min(value, kValueMax);
  ++buckets_[bucket_of(value)];
  ++count_;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
}

void Histogram::merge(const Histogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double Histogram::mean() const {
  return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

uint64_t Histogram::percentile(double percent) const {
  assert(percent > 0 && percent <= 100);
  // A hair less, so that rounding does not push a whole number to the next one.
  const double exact = percent / 100 * static_cast<double>(count_);
  const auto wanted = static_cast<uint64_t>(std::ceil(exact * (1 - 1e-12)));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size() && count_ != 0; ++i) {
    seen += buckets_[i];
    if (seen >= wanted && seen != 0) return std::min(last_of(i), max_);
  }
  return max_;
}

}  // namespace kvstore::bench
