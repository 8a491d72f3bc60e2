// Log Matching (§5.3): entries of equal index and term are the same, and so is what is before them.
// An entry is compared with the first one seen under its index and term, together with the term of
// its predecessor: by induction the whole prefixes are the same.
#include <map>
#include <vector>

#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class LogMatching final : public Invariant {
 public:
  const char* name() const override { return "log matching"; }

  void on_change(Checker& checker, size_t node, const Sight& before, const Sight& now) override {
    if (!now.running || (before.same_life(now) && before.last == now.last)) return;
    std::map<uint64_t, raft::Term>& known = verified_[node];
    if (!before.same_life(now)) known.clear();
    known.erase(known.upper_bound(now.last.index.value), known.end());
    for (uint64_t index = now.last.index.value; index > now.base.index.value; --index) {
      std::optional<raft::Entry> entry = checker.entry(node, {index});
      if (!entry) break;
      auto it = known.find(index);
      if (it != known.end() && it->second == entry->id.term) break;
      known[index] = entry->id.term;
      const raft::Term previous =
          checker.cluster()[node].raft().log().term_at({index - 1}).value_or(raft::Term{});
      compare(checker, node, *entry, previous);
    }
  }

 private:
  struct Seen {
    uint32_t crc;
    raft::Term previous;
    bool operator==(const Seen&) const = default;
  };

  void compare(Checker& checker, size_t node, const raft::Entry& entry, raft::Term previous) {
    const Seen seen{entry.crc, previous};
    auto [it, fresh] = seen_.emplace(entry.id, seen);
    if (it->second == seen && raft::entry_intact(entry)) return;
    checker.violated(name(),
                     fmt::format("entry {} of term {} on {} differs from that on another "
                                 "node, or its predecessor does",
                                 entry.id.index.value, entry.id.term.value, checker.name(node)));
  }

  std::map<raft::LogId, Seen> seen_;
  std::map<size_t, std::map<uint64_t, raft::Term>> verified_;
};

}  // namespace

std::unique_ptr<Invariant> log_matching() {
  return std::make_unique<LogMatching>();
}

}  // namespace kvstore::sim
