// A linearizable read is answered from a state that holds every write that was acknowledged before
// the read began.  The checker of histories finds this too, but only at the end.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class FreshReads final : public Invariant {
 public:
  const char* name() const override { return "fresh reads"; }

  void on_read(Checker& checker, uint64_t revision, uint64_t floor) override {
    if (revision >= floor) return;
    checker.violated(name(), fmt::format("a read saw revision {} although revision {} was "
                                         "acknowledged before it began",
                                         revision, floor));
  }
};

}  // namespace

std::unique_ptr<Invariant> fresh_reads() {
  return std::make_unique<FreshReads>();
}

}  // namespace kvstore::sim
