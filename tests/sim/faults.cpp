#include "sim/faults.hpp"

#include <fmt/format.h>

namespace kvstore::sim {
namespace {

constexpr std::array<const char*, kFaultCount> kNames = {
    "partition",
    "one-way partition",
    "leader isolated",
    "its successor lost",
    "ring of majorities",
    "link broken",
    "slow link",
    "message dropped",
    "message duplicated",
    "message reordered",
    "lane full",
    "snapshot byte flipped",
    "power cut",
    "power cut of all",
    "write torn",
    "unsynced state lost",
    "log write error",
    "log read error",
    "state sync error",
    "disk stalled",
    "slow disk",
    "disk nearly full",
    "process crash",
    "crash of all",
    "restart",
    "process paused",
    "orderly shutdown",
    "crash in install",
    "crash while streaming",
    "wall clock jump",
    "clock drift",
    "voter added",
    "learner added",
    "learner promoted",
    "member removed",
    "leadership transfer",
    "node replaced",
    "disk lost for good",
    "election won",
    "snapshot installed",
    "state ahead of log",
    "write refused for space",
    "states compared",
    "history compacted",
    "old revision read",
    "watcher moved",
    "watcher's past compacted",
    "lease kept alive",
    "lease or TTL ended",
    "request replayed",
    "request sent again",
    "attack on a lease",
    "read under a lease",
    "stale read",
    "refused as too stale",
    "revision awaited",
};

}  // namespace

const char* fault_name(Fault fault) {
  return kNames[static_cast<size_t>(fault)];
}

void Coverage::add(const Coverage& other) {
  for (size_t i = 0; i < kFaultCount; ++i) counts_[i] += other.counts_[i];
}

std::string Coverage::table() const {
  std::string text;
  std::string never;
  for (size_t i = 0; i < kFaultCount; ++i) {
    text += fmt::format("  {:<24}{:>12}{}", kNames[i], counts_[i], i % 2 == 0 ? "    " : "\n");
    if (counts_[i] == 0) never += fmt::format("{}{}", never.empty() ? "" : ", ", kNames[i]);
  }
  if (kFaultCount % 2 == 1) text += "\n";
  if (!never.empty()) text += "  never: " + never + "\n";
  return text;
}

}  // namespace kvstore::sim
