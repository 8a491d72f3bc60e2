// Goal: no order of faults breaks Raft's safety properties, and a healed cluster converges.
// Method: clusters in virtual time, one per seed, with message loss, duplication, delay,
// reordering, partitions, slow disks that lose unsynced writes in crashes, restarts, membership
// changes, snapshots and transfers; SafetyChecker judges every step.  KVS_RAFT_SEED=n replays one
// seed, KVS_RAFT_SEEDS=n runs that many.
#include "random_cluster.hpp"

#include <cstdlib>
#include <string>

#include <doctest/doctest.h>

namespace kvstore::raft::testing {

namespace {

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

TEST_CASE("random clusters stay safe and converge") {
  uint64_t first = 1;
  uint64_t last = number_from("KVS_RAFT_SEEDS", 300);
  if (std::getenv("KVS_RAFT_SEED") != nullptr) first = last = number_from("KVS_RAFT_SEED", 1);
  for (uint64_t seed = first; seed <= last; ++seed) {
    INFO("replay with KVS_RAFT_SEED=" << seed);
    try {
      RandomCluster(seed).run();
    } catch (const Violation& violation) {
      FAIL_CHECK(std::string(violation.what()));
    }
  }
}

}  // namespace kvstore::raft::testing
