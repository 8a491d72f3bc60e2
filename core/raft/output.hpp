// What a RaftNode wants done, as plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.hpp"
#include "raft/event.hpp"
#include "raft/message.hpp"

namespace kvstore::raft {

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
const char* role_name(Role role);

// One ordered step of the log: hard state, then truncation, then entries; durable before it is
// reported with LogPersisted{sequence}.  Sequences grow by one; writes may be merged and reported
// together by the highest.  Messages that must wait for it stay inside the RaftNode until then.
struct LogWrite {
  uint64_t sequence = 0;
  std::optional<HardState> hard_state;
  std::optional<Index> truncate_from;
  std::vector<Entry> entries;
  // False when only the commit hint changed: such a write needs no fsync of its own.
  bool must_sync = true;
};

// Entries first..last (at most bytes_max, but at least one) are needed and not in memory: for a
// peer, or to be applied when peer is kNoNode.  Answer with EntriesLoaded.
struct LoadRequest {
  NodeId peer;
  Index first;
  Index last;
  uint64_t bytes_max = 0;
};

struct ProposeResult {
  uint64_t token = 0;
  Code code = Code::kOk;  // OK: appended as `id`, outcome follows by commit; NOT_LEADER, BUSY,
                          // INVALID: not appended
  LogId id;
};

struct ReadResult {
  uint64_t token = 0;
  // OK; NOT_LEADER: also leadership lost while waiting; BUSY: too many reads wait; TIMEOUT: the
  // leader did not answer within some election timeouts.
  Code code = Code::kOk;
  Index index;
};

enum class SnapshotDecision : uint8_t {
  kInstall,      // replace the state, then reset the log; report SnapshotInstalled
  kAlreadyHave,  // the log matches at its last entry or the commit index is beyond: drop it, tell
                 // the sender OK
  kStale,        // from an older term, or another install runs: drop it, tell the sender to retry
};

struct Output {
  // May be sent now.  To one peer in this order.
  std::vector<Message> messages;
  std::vector<LogWrite> log_writes;
  // Committed entries to apply, contiguous across outputs; each is given out exactly once per
  // process life.
  std::vector<Entry> committed;
  std::vector<LoadRequest> loads;
  std::vector<ProposeResult> proposals;
  std::vector<ReadResult> reads;
  // Peers that need a snapshot at or after this node's first index; one is in flight per peer until
  // SnapshotSent.
  std::vector<NodeId> send_snapshots;
  std::optional<SnapshotDecision> snapshot_decision;
  bool role_changed = false;           // role, term or known leader
  bool configuration_changed = false;  // the newest appended configuration

  void clear() { *this = Output(); }
};

}  // namespace kvstore::raft
