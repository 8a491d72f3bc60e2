// Bugs on purpose: classic mistakes that can be switched on in one test program, to show that the
// simulator finds them (tests/sim/README.md).  Everywhere else KVS_MUTATED is the constant false
// and leaves no code.  To be used in .cpp files only: tests compile those once more.
#pragma once

#ifdef KVS_MUTATIONS

namespace kvstore {

enum class Mutation {
  kNone,
  // elections
  kForgetVote,         // the vote is not stored
  kForgetTerm,         // a higher term is not stored
  kSendBeforeDurable,  // votes and terms leave before they are on disk
  kIgnoreOlderLog,     // votes for candidates whose log is behind
  kCompareIndexOnly,   // compares logs by length alone
  kVoteTwice,          // votes again in the same term
  // log
  kCommitOldTerm,          // commits an entry of an earlier term by counting (Figure 8)
  kQuorumTooSmall,         // commits with one copy fewer
  kCountOwnUnsynced,       // the leader counts what is not on its own disk
  kAckBeforeDurable,       // a follower acknowledges what is not on its disk
  kSkipLogCheck,           // appends without looking at the entry before
  kTruncateOnShortAppend,  // drops entries behind the end of a late append
  kCommitBeyondMatch,      // commits what the leader did not vouch for
  kKeepMatchedOverTerms,   // takes what matched an earlier leader for matched
  // reads
  kReadWithoutQuorum,  // the leader answers by itself
  kReadBeforeNoop,     // reads are answered before the term's first commit
  kReadWithOldRound,   // an echo from before the read confirms it
  kReadBeforeApplied,  // a read is served before the state is far enough
  // leases
  kLeaseFromReceipt,   // the lease begins when the answers arrive
  kLeaseOverTransfer,  // the lease goes on after another node was told to campaign
  kFreshFromReceipt,   // a follower's state counts as new as the heartbeat that says so
  // snapshots
  kInstallStaleSnapshot,   // a snapshot behind the commit index is installed
  kSnapshotDropsSuffix,    // a matching log is dropped with what was acknowledged behind it
  kSnapshotKeepsConflict,  // a log that differs at the snapshot's end is kept
  kSnapshotUnchecked,      // a damaged stream is accepted
  // membership
  kTwoChangesAtOnce,            // a change begins before the one before is committed
  kConfigurationNotRolledBack,  // a truncated configuration stays in force
  kLearnersCount,               // learners count for commitment
  // requests
  kAckByIndexAlone,     // a waiting client is answered by whatever entry is committed there
  kUnknownSaidNotDone,  // a write that may still happen is answered "not done"
  kRetryUnknown,        // a write whose answer was lost is sent again
  // state machine
  kCompareAlwaysHolds,  // conditions are ignored
  kRevisionPerBatch,    // revisions depend on how entries are cut into batches
  kHistoryForgotten,    // a version that its own batch replaces is not kept
  kCompactTooMuch,      // a compaction takes what the oldest revision needs
  // watches
  kWatchSkipsLast,    // of what is new, the last revision is passed over
  kWatchResumesLate,  // a watcher that fell behind goes on one revision too late
  // leases
  kLeaseEndsAnyGeneration,  // an expiry ends a later lease of the same id
  kLeaseClockGoesOn,        // a new leader counts from when it saw the grant
  kKeepAliveUnconfirmed,    // a keep-alive is answered without a read round
  kKeepAliveAfterEnd,       // a keep-alive is answered though the expiry is on its way
  // idempotent requests
  kFingerprintIgnored,  // another request under a known id gets the answer to the first
  kRequestsForgotten,   // answers are only known to the batch that they were made in
  kSnapshotNoRequests,  // a snapshot is installed without the answers to requests
  kCount,
};

inline Mutation active_mutation = Mutation::kNone;

}  // namespace kvstore

#define KVS_MUTATED(name) (::kvstore::active_mutation == ::kvstore::Mutation::name)

#else

#define KVS_MUTATED(name) false

#endif
