// In which order and in which transactions the operations of a batch are carried out.
#pragma once

#include <cstdint>
#include <vector>

#include "handlers/txn_document.hpp"

namespace kvstore::http {

// Operations of one transaction, by their places in the batch.
using BatchUnit = std::vector<uint32_t>;

// First the writes, all at the same time, then the reads.
struct BatchWave {
  std::vector<BatchUnit> writes;
  std::vector<uint32_t> gets;
};

struct BatchBounds {
  uint64_t unit_ops_max = 128;
  uint64_t unit_bytes_max = 512 << 10;  // of keys and values; one operation may have more
};

// Waves are carried out one after the other, so that operations on the same key take effect in the
// order of the list.  Writes without a condition and without `prev` share transactions; any other
// write has its own, since a condition or too large an item would fail its neighbours.
std::vector<BatchWave> plan_batch(const std::vector<BatchOp>& ops, const BatchBounds& bounds);

}  // namespace kvstore::http
