// Which key an operation takes: in turn, all alike, or some much more often than others.
#pragma once

#include <cstdint>
#include <random>

#include "config.hpp"

namespace kvstore::bench {

using Random = std::mt19937_64;

// Ranks 1..n, rank k with a probability proportional to 1 / k^theta: rejection-inversion sampling
// (Hörmann, Derflinger 1996), in constant time and memory for any n.
class Zipfian {
 public:
  // n at least 1; theta above 0.
  Zipfian(uint64_t n, double theta);
  uint64_t operator()(Random& random) const;

 private:
  double integral(double x) const;
  double inverse(double y) const;
  double density(double x) const;

  double n_, theta_;
  double low_, high_, cut_;
};

// Indexes 0..keys-1.  The frequent ones of kZipfian are spread over the whole range, so that they
// are no neighbours.
class KeyChooser {
 public:
  KeyChooser(Distribution distribution, uint64_t keys, double theta);
  uint64_t next(Random& random);
  // The index of the k-th most frequent key of kZipfian, k from 1.
  uint64_t index_of_rank(uint64_t rank) const;

 private:
  Distribution distribution_;
  uint64_t keys_;
  uint64_t turn_ = 0;
  Zipfian zipfian_;
};

}  // namespace kvstore::bench
