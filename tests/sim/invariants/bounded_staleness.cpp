// A read that allows an age is answered from a state that holds every write that was acknowledged
// before then, and one that names a revision from a state that has reached it.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class BoundedStaleness final : public Invariant {
 public:
  const char* name() const override { return "bounded staleness"; }

  void on_acknowledged(Checker& checker, raft::LogId, uint64_t revision) override {
    if (!acked_.empty() && revision <= acked_.back().revision) return;
    acked_.push_back({checker.cluster().world.now_us(), revision});
  }

  void on_stale_read(Checker& checker, const StaleRead& read) override {
    if (read.revision < read.min_revision) {
      checker.violated(name(), fmt::format("a read that waited for revision {} saw {}",
                                           read.min_revision, read.revision));
      return;
    }
    auto later = std::upper_bound(acked_.begin(), acked_.end(), read.since_us,
                                  [](uint64_t us, const Acked& a) { return us <= a.at_us; });
    if (later == acked_.begin() || read.revision >= std::prev(later)->revision) return;
    checker.violated(name(), fmt::format("a read saw revision {} although revision {} was "
                                         "acknowledged at {} us and nothing older than {} us was "
                                         "allowed",
                                         read.revision, std::prev(later)->revision,
                                         std::prev(later)->at_us, read.since_us));
  }

 private:
  struct Acked {
    uint64_t at_us;
    uint64_t revision;
  };
  std::vector<Acked> acked_;
};

}  // namespace

std::unique_ptr<Invariant> bounded_staleness() {
  return std::make_unique<BoundedStaleness>();
}

}  // namespace kvstore::sim
