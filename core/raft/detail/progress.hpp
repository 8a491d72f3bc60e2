// What a leader knows of one other member (Figure 2, nextIndex and matchIndex), and how it feeds
// it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "raft/raft_node.hpp"
#include "raft/types.hpp"

namespace kvstore::raft {

// Appends on their way to one peer, oldest first.
class Inflight {
 public:
  void add(Index last, uint64_t bytes);
  // Forgets those that end at or before `match`; true when there was one.
  bool free_to(Index match);
  void clear();

  bool empty() const { return appends_.empty(); }
  size_t count() const { return appends_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Append {
    Index last;
    uint64_t bytes;
  };
  std::deque<Append> appends_;
  uint64_t bytes_ = 0;
};

// Probe: where the logs agree is unknown, so one append at a time.  Replicate: appends are sent
// optimistically behind each other within the window.  Snapshot: nothing is sent until it arrived.
struct Progress {
  using State = PeerStatus::State;

  NodeId id;
  bool voter = false;
  State state = State::kProbe;
  Index match;               // durable on the peer; never decreases within a term
  uint64_t match_round = 0;  // the read round in which match last grew
  Index next;                // the first entry that the next append carries; above match

  bool paused = false;        // probe: wait for an answer or the next heartbeat
  uint32_t probe_ticks = 0;   // since the last probe was sent
  uint32_t silent_ticks = 0;  // since anything was heard of the peer
  bool space_low = false;
  bool reverted = false;
  uint32_t ack_ticks = 0;  // since the window moved while appends are in flight
  Inflight inflight;

  Index commit_sent;        // the commit index that the peer was told
  uint64_t round_sent = 0;  // the newest read round sent, and echoed
  uint64_t round_acked = 0;
  // Of its newest answer.
  uint64_t promise_ms = 0;
  uint64_t token = 0;
  // The token when round fresh_round_ began; and, once a quorum echoed that one, what heartbeats
  // tell the peer.
  uint64_t token_noted = 0;
  uint64_t token_told = 0;
  Index commit_told;
  uint64_t heartbeat_round = 0;  // the last heartbeat's round, and what the peer held by then
  Index heartbeat_match;

  bool load_pending = false;  // entries from load_first on were asked for
  Index load_first;
  uint32_t snapshot_backoff_ticks = 0;

  // A learner's catch-up round (§4.2.1): it began when the log ended at catch_up_target.
  bool caught_up = false;
  Index catch_up_target;
  uint32_t catch_up_ticks = 0;

  // Set once the peer is no longer a member: fed until it knows that entry to be committed.
  std::optional<Index> removed_at;
  uint32_t leaving_ticks = 0;  // since the removal was committed

  Progress(NodeId peer, Index next_index) : id(peer), next(next_index) {}

  void become_probe();
  void become_replicate();
  void become_snapshot();
};

}  // namespace kvstore::raft
