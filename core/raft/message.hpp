// The messages between nodes.  One flat struct: which members carry meaning depends on the type.
#pragma once

#include <cstdint>
#include <vector>

#include "raft/types.hpp"

namespace kvstore::raft {

enum class MessageType : uint8_t {
  kPreVote = 1,       // log: candidate's last entry; term: the term it WOULD campaign in (§9.6)
  kPreVoteReply = 2,  // reject; term: the asked term if granted, the voter's own if rejected
  kVote = 3,          // log: candidate's last entry; forced: part of a leadership transfer
  kVoteReply = 4,     // reject
  kAppend = 5,        // log: entry before the first one; entries; commit; read_round
  // reject; match (durable) or, if rejected, hint; read_round; promise_ms; token: a number of the
  // sender that heartbeats bring back to it, 0 for none.
  kAppendReply = 6,
  // commit, never above what the receiver is known to hold; read_round, 0 in a mere notice of the
  // commit index, which is not answered.  token and match: what was committed before the receiver
  // sent the answer with this token is at or below this index; token 0: nothing is said.
  kHeartbeat = 7,
  // read_round; match: durable and known to agree with the leader's log.  Also answers an append,
  // when its acknowledgement waits for the disk or a snapshot is being installed.
  // promise_ms, token as in kAppendReply.
  kHeartbeatReply = 8,
  kReadIndex = 9,  // token
  kReadIndexReply =
      10,            // token; reject when the receiver is not (or not yet) able; commit: read index
  kTimeoutNow = 11,  // campaign at once (§3.10)
};

struct Message {
  MessageType type = MessageType::kHeartbeat;
  bool reject = false;
  bool forced = false;
  bool space_low = false;  // kAppendReply, kHeartbeatReply: the sender's disk is nearly full
  bool reverted = false;   // kHeartbeat: the receiver lost what it had acknowledged
  NodeId from;
  NodeId to;
  Term term;
  LogId log;
  Index commit;
  Index match;
  // After a rejected append: the follower's entry at or before the conflict (term-skipping hint),
  // or its last entry when its log is too short.
  LogId hint;
  // The rejected append's log.index, so that a late rejection is recognised.
  Index rejected;
  // Grows within a term; echoed by replies.  A quorum echoing a round that started after a read
  // arrived confirms leadership for this read.
  uint64_t read_round = 0;
  uint64_t token = 0;
  uint64_t promise_ms = 0;  // Options::vote_promise_ms of the sender
  std::vector<Entry> entries;
};

}  // namespace kvstore::raft
