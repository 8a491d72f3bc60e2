// What the engine lets in, and how much of it is inside.
#pragma once

#include <atomic>
#include <cstdint>

namespace kvstore::node::runtime {

struct EngineLimits {
  uint64_t request_timeout_ms = 5'000;
  uint64_t key_bytes_max = 4'096;
  uint64_t value_bytes_max = 64 << 20;
  uint64_t txn_ops_max = 128;
  uint64_t txn_bytes_max =
      1 << 20;  // inline keys and values of one transaction, beyond a single put's own
  uint64_t proposals_max = 8'192;
  uint64_t proposal_bytes_max = 256 << 20;
  uint64_t reads_max = 16'384;   // reads waiting for confirmation
  uint64_t readers_max = 4'096;  // readers open at a time
  uint64_t reader_age_ms_max = 600'000;
  uint64_t uploads_max = 64;
  uint64_t blobs_max = 4;              // snapshots being taken away at a time
  uint64_t blob_idle_ms_max = 60'000;  // without a read
  uint64_t watches_max = 10'000;
  uint64_t watch_lag_bytes_max = 4 << 20;  // missed by a watch that does not take them
};

// Counts what is inside against two bounds.  [any-thread]
class Budget {
 public:
  Budget(uint64_t items_max, uint64_t bytes_max) : items_max_(items_max), bytes_max_(bytes_max) {}

  // False when it does not fit; one item of any size fits when nothing is inside.
  bool take(uint64_t bytes) {
    uint64_t items = items_.fetch_add(1, std::memory_order_acq_rel);
    uint64_t held = bytes_.fetch_add(bytes, std::memory_order_acq_rel);
    if (items < items_max_ && (held == 0 || held + bytes <= bytes_max_)) return true;
    give_back(bytes);
    return false;
  }
  void give_back(uint64_t bytes) {
    bytes_.fetch_sub(bytes, std::memory_order_acq_rel);
    items_.fetch_sub(1, std::memory_order_acq_rel);
  }
  uint64_t items() const { return items_.load(std::memory_order_acquire); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_acquire); }

 private:
  const uint64_t items_max_;
  const uint64_t bytes_max_;
  std::atomic<uint64_t> items_{0};
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace kvstore::node::runtime
