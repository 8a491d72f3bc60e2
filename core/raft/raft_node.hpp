// The consensus core of one node: a deterministic state machine, step(event) -> output.
//
// Lifecycle: built once from what the disk holds (Restored), stepped until the process ends.
// Concurrency: none; one caller at a time.  No clock, thread, I/O or randomness beyond
// Options::seed. Contract with the caller: outputs are carried out in order; log writes are durable
// before LogPersisted; messages may be lost, duplicated, delayed or reordered, nothing else is
// assumed of the network.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "raft/configuration.hpp"
#include "raft/event.hpp"
#include "raft/output.hpp"
#include "raft/raft_log.hpp"
#include "raft/types.hpp"

namespace kvstore::raft {

struct Options {
  NodeId id;
  uint64_t seed = 1;
  uint32_t heartbeat_ticks = 4;
  // An election starts after election_ticks..2*election_ticks without a leader.
  uint32_t election_ticks = 28;
  // A log write outstanding for this long makes a leader step down and a follower decline to
  // campaign; not with a quorum of one.
  uint32_t disk_stall_ticks = 80;
  uint64_t append_bytes_max =
      1 << 20;  // entries in one append message; one larger entry travels alone
  uint32_t inflight_messages_max = 256;  // appends on the way to one peer
  uint64_t inflight_bytes_max = 16 << 20;
  uint64_t uncommitted_bytes_max = 256 << 20;  // proposals beyond it are BUSY
  uint64_t apply_bytes_max = 32 << 20;         // given out to be applied and not yet Applied
  uint64_t entry_cache_bytes = 64 << 20;
  // What this node promises with every answer to its leader: for so many milliseconds from then on
  // it votes for nobody else, unless the leader itself asks for that election; nor does it within
  // election_ticks of its start, for it may have promised before.  Must be shorter than
  // election_ticks.  0: no promise, and no lease for its leader.
  uint64_t vote_promise_ms = 0;
  // A learner is caught up when it acknowledged, within one election timeout, everything that was
  // in the leader's log when that round began (§4.2.1).
};

// What the disk held at start.
struct Restored {
  HardState hard_state;
  RaftLog log;                  // everything from its base, see RaftLog::restore
  Configuration configuration;  // as of `applied`
  LogId applied;                // the state machine's mark, within the log's base..last
};

// CORRUPT when the parts do not fit together (applied mark outside the log, a configuration entry
// that does not decode), INVALID for unusable options.  Call it before building a RaftNode, which
// asserts the same.
Status check_restored(const Options& options, const Restored& restored);

struct PeerStatus {
  NodeId id;
  enum class State : uint8_t { kProbe, kReplicate, kSnapshot } state = State::kProbe;
  Index match;
  Index next;
  bool recently_active = false;  // heard of within an election timeout
  bool space_low = false;        // its disk was nearly full when it was last heard
  // It no longer has what it acknowledged in this term (an old disk image was put back): while this
  // leader leads, it counts neither for commitment nor for reads, and is fed nothing.
  bool reverted = false;
};

// Until when a leader may take it for certain that nobody else leads: every message that carried
// `round` or a later one left after that round began, a quorum answered one of them, and whoever
// answered votes for nobody else for promise_ms after it received it.  So nothing is committed
// elsewhere before the begin of `round` plus promise_ms, as measured by clocks that agree.
struct LeaderLease {
  uint64_t round = 0;       // 0: no lease
  uint64_t promise_ms = 0;  // the shortest; UINT64_MAX: no other node's vote matters
};

class RaftNode {
 public:
  RaftNode(const Options& options, Restored restored);
  ~RaftNode();
  RaftNode(RaftNode&&) noexcept;
  RaftNode& operator=(RaftNode&&) = delete;

  // Takes one event and appends to `out`.
  void step(Event event, Output* out);

  NodeId id() const;
  Role role() const;
  Term term() const;
  NodeId leader() const;  // kNoNode when unknown
  Index commit_index() const;
  Index applied_index() const;
  Index durable_index() const;  // own log is on disk up to here
  const RaftLog& log() const;
  // The newest appended one, committed or not: the one that counts (§4.1).
  const Configuration& configuration() const;
  // The newest configuration at or below `index`, which must be applied and not compacted: what a
  // snapshot at `index` records.
  const Configuration& configuration_at(Index index) const;
  bool configuration_change_pending() const;
  bool leader_ready() const;  // leads and has committed this term's no-op
  // Leader: the newest round, and the newest that a quorum echoed; each began when it first showed
  // here, before any message with it was handed out.  Both start at 0 in each term.
  uint64_t read_round() const;
  uint64_t confirmed_round() const;
  // No lease while leadership is handed over or a change of members is not committed, nor for the
  // rest of a term in which another node was told to campaign: that message may arrive at any time.
  LeaderLease lease() const;
  bool transferring() const;
  bool disk_stalled() const;
  // The leader of this term found that this node lost what it had acknowledged, and does not count
  // it.
  bool reverted() const;
  // This node's disk, or for a leader that of a peer that is heard, is nearly full.
  bool any_space_low() const;
  // Leader: every other member.  Otherwise empty.
  std::vector<PeerStatus> peers() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvstore::raft
