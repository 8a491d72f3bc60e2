// Nothing grows without bound: bytes in a lane of the network, writes waiting for a disk, entries
// waiting to be applied, the log above what may be compacted.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

// Clients have few requests open at a time, so even a stalled disk has little to wait for.
constexpr size_t kQueuedWritesMax = 2'000;
constexpr uint64_t kOneMessageBytes = 2 << 20;
constexpr uint64_t kLookEvery = 64;  // steps

class BoundedQueues final : public Invariant {
 public:
  const char* name() const override { return "bounded queues"; }

  void on_step(Checker& checker) override {
    if (++steps_ % kLookEvery != 0) return;
    SimCluster& cluster = checker.cluster();
    const uint64_t lane = cluster.network.fullest_lane_bytes();
    if (lane > cluster.network.faults.lane_bytes_max + kOneMessageBytes)
      checker.violated(name(), fmt::format("a lane holds {} bytes", lane));
    for (size_t i = 0; i < cluster.size(); ++i) {
      if (!cluster[i].running()) continue;
      const raft::RaftNode& raft = cluster[i].raft();
      const size_t queued = cluster[i].log_disk().queued();
      if (queued > kQueuedWritesMax)
        checker.violated(name(),
                         fmt::format("{} has {} log writes under way", checker.name(i), queued));
      const raft::Options& options = cluster[i].config.options.raft;
      const uint64_t cached = raft.log().cached_bytes();
      const uint64_t unsettled =
          raft.log().last().index - std::min(raft.applied_index(), raft.durable_index());
      if (cached > options.entry_cache_bytes + unsettled * kOneMessageBytes + kOneMessageBytes)
        checker.violated(name(),
                         fmt::format("{} keeps {} bytes of entries", checker.name(i), cached));
    }
  }

 private:
  uint64_t steps_ = 0;
};

}  // namespace

std::unique_ptr<Invariant> bounded_queues() {
  return std::make_unique<BoundedQueues>();
}

}  // namespace kvstore::sim
