// The kinds of faults that a run can inject, and how often it did.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace kvstore::sim {

enum class Fault : uint8_t {
  // network
  kPartition,
  kOneWayPartition,
  kIsolateLeader,
  kSuccessorLost,
  kMajorityRing,
  kBreakLink,
  kSlowLink,
  kMessageDropped,
  kMessageDuplicated,
  kMessageReordered,
  kLaneFull,
  kSnapshotFlipped,
  // disk
  kPowerCut,
  kPowerCutAll,
  kTornWrite,
  kStateLost,
  kWriteError,
  kReadError,
  kSyncError,
  kStall,
  kSlowDisk,
  kDiskNearlyFull,
  // process
  kCrash,
  kCrashAll,
  kRestart,
  kPause,
  kShutdown,
  kCrashInInstall,
  kCrashInStream,
  // clock
  kWallJump,
  kDrift,
  // membership
  kAddVoter,
  kAddLearner,
  kPromote,
  kRemove,
  kTransfer,
  kReplace,
  kDiskLost,
  // consequences worth reaching
  kElection,
  kSnapshotInstalled,
  kStateAheadOfLog,
  kRefusedForSpace,
  kStatesCompared,
  kHistoryCompacted,
  kOldRevisionRead,
  kWatchMoved,
  kWatchCompacted,
  kLeaseKept,
  kLeaseEnded,
  kRequestReplayed,
  kRequestSentAgain,
  kLeaseAttack,
  kLeaseRead,
  kStaleRead,
  kTooStale,
  kRevisionAwaited,
  kCount,
};
inline constexpr size_t kFaultCount = static_cast<size_t>(Fault::kCount);

const char* fault_name(Fault fault);

class Coverage {
 public:
  void count(Fault fault, uint64_t times = 1) { counts_[static_cast<size_t>(fault)] += times; }
  uint64_t of(Fault fault) const { return counts_[static_cast<size_t>(fault)]; }
  void add(const Coverage& other);
  // A table, and one line that names what never happened.
  std::string table() const;

 private:
  std::array<uint64_t, kFaultCount> counts_{};
};

}  // namespace kvstore::sim
