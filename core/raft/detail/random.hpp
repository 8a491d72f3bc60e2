// The core's only source of randomness: SplitMix64 (Steele, Lea and Flood, 2014), fully determined
// by its seed.
#pragma once

#include <cstdint>

namespace kvstore::raft {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0..bound-1; bound is small, so the bias of the remainder does not matter.
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(next() % bound); }

 private:
  uint64_t state_;
};

}  // namespace kvstore::raft
