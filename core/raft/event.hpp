// What can happen to a RaftNode.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/status.hpp"
#include "raft/configuration.hpp"
#include "raft/message.hpp"

namespace kvstore::raft {

// Time passes: one tick of Options' unit.
struct Tick {};

// A decoded, validated message addressed to this node.  Entries' checksums were verified.
struct MessageReceived {
  Message message;
};

struct Proposal {
  uint64_t token = 0;  // chosen by the caller, returned in ProposeResult
  SharedBytes data;    // becomes a kCommand entry
};
// All proposals of one batch become consecutive entries of one log write.
struct Propose {
  std::vector<Proposal> proposals;
};

// Replaces the configuration.  Refused (ProposeResult) with NOT_LEADER, BUSY (another change is not
// committed yet, or this term's no-op is not), INVALID (more than one voter differs, or no voter
// would be left).
struct ProposeConfiguration {
  uint64_t token = 0;
  Configuration configuration;
};

// Asks for an index such that a state machine applied up to it serves a linearizable read (§6.4).
// On a follower the question goes to the leader.  Answered once in Output::reads; an answer lost on
// the network never comes: the caller has a deadline.
struct ReadIndexRequest {
  uint64_t token = 0;
};

// The log thread made every LogWrite up to and including this sequence durable.
struct LogPersisted {
  uint64_t sequence = 0;
};

// The state machine holds everything up to this index.
struct Applied {
  Index index;
};

// Answer to a LoadRequest: contiguous entries from its first index, possibly fewer than asked but
// at least one; or COMPACTED; or another error when they cannot be read.
struct EntriesLoaded {
  NodeId peer;
  Index first;
  Code code = Code::kOk;
  std::vector<Entry> entries;
};

// The caller drops the log up to and including this entry, which is applied.
struct LogCompacted {
  Index upto;
};

struct SnapshotMeta {
  LogId last;  // the last entry that the snapshot covers
  Configuration configuration;
};

// A snapshot from `from`, leader in `term`, was received completely and waits for a decision, which
// is Output::snapshot_decision in the same step.
struct SnapshotStaged {
  NodeId from;
  Term term;
  SnapshotMeta meta;
};
// The install that Output asked for is durable: state replaced, then the log reset to meta.last,
// behind every LogWrite handed out before.  No entries are handed out to the log or to the state
// machine while it runs; what was given out to be applied before may be skipped, the snapshot
// covers it.
struct SnapshotInstalled {
  SnapshotMeta meta;
};
// The install did not happen; the old state and log stand.
struct SnapshotInstallFailed {};

// Outcome of an outgoing snapshot (Output::send_snapshots).  ok: the peer installed up to `last`.
struct SnapshotSent {
  NodeId peer;
  bool ok = false;
  LogId last;
};

// The transport lost or refused messages to this peer.
struct PeerUnreachable {
  NodeId peer;
};
// The transport has a (new) connection to this peer.
struct PeerConnected {
  NodeId peer;
};

// Hands leadership to `target`, or to the most up-to-date voter when it is kNoNode (§3.10).  The
// attempt ends after an election timeout.
struct TransferLeadership {
  NodeId target;
};

// Whether this node's disk is nearly full.  It is told to the leader with every acknowledgement;
// what the leader makes of it (PeerStatus::space_low) is the caller's business.
struct DiskSpace {
  bool low = false;
};

// Starts an election at once if this node may (bootstrap, tests).
struct Campaign {};

using Event = std::variant<Tick, MessageReceived, Propose, ProposeConfiguration, ReadIndexRequest,
                           LogPersisted, Applied, EntriesLoaded, LogCompacted, SnapshotStaged,
                           SnapshotInstalled, SnapshotInstallFailed, SnapshotSent, PeerUnreachable,
                           PeerConnected, TransferLeadership, DiskSpace, Campaign>;

}  // namespace kvstore::raft
