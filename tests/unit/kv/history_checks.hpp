// Compares what a machine's store shows of its past with the model that keeps all of it.
#pragma once

#include <functional>

#include "model.hpp"

namespace kvstore::kv::test {

// How much was compared, so that the logs are known to reach it.
struct PastOutcomes {
  uint64_t reads = 0;        // of old revisions
  uint64_t large_reads = 0;  // of old values in parts
  uint64_t changes = 0;
  uint64_t refused = 0;  // below the compacted revision

  void add(const PastOutcomes& other) {
    reads += other.reads;
    large_reads += other.large_reads;
    changes += other.changes;
    refused += other.refused;
  }
};

// Every revision that can be read: items, pages of random ranges in both directions, counts,
// values; and every change since the compacted revision.
PastOutcomes check_past(Machine& m, const Model& model,
                        const std::function<uint64_t(uint64_t)>& below);

}  // namespace kvstore::kv::test
