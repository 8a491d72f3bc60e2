// What a client was told to be done is the committed entry at its place: it can be lost only
// together with a majority of the disks.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class AcknowledgedIsCommitted final : public Invariant {
 public:
  const char* name() const override { return "acknowledged is committed"; }

  void on_acknowledged(Checker& checker, raft::LogId at, uint64_t revision) override {
    const auto& committed = checker.ledger().committed;
    auto it = committed.find(at.index.value);
    const auto& revisions = checker.ledger().revisions;
    auto applied = revisions.find(at.index.value);
    const bool is_entry = it != committed.end() && it->second.term == at.term;
    const bool is_result = applied != revisions.end() && applied->second == revision;
    if (is_entry && is_result) return;
    checker.violated(name(),
                     fmt::format("a write was acknowledged as entry {} of term {} with "
                                 "revision {}; committed there: {}",
                                 at.index.value, at.term.value, revision,
                                 it == committed.end()
                                     ? std::string("nothing")
                                     : fmt::format("an entry of term {}", it->second.term.value)));
  }
};

}  // namespace

std::unique_ptr<Invariant> acknowledged_is_committed() {
  return std::make_unique<AcknowledgedIsCommitted>();
}

}  // namespace kvstore::sim
