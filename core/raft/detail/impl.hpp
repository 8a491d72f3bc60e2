// The state of a RaftNode and the functions of each event family, one source file per family:
//   start, receive, message_check   construction, dispatch of messages, validation of what they say
//   role, election, transfer        terms and roles, votes, handing leadership over
//   propose, append_leader, append_follower, commit, apply, persist      the way of an entry
//   read_index, membership, snapshot, tick
// A step runs one handler and then finish_step(), which does once per step what any handler may
// have made due.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "raft/detail/progress.hpp"
#include "raft/detail/random.hpp"
#include "raft/detail/read_queue.hpp"
#include "raft/detail/write_tracker.hpp"
#include "raft/raft_node.hpp"

namespace kvstore::raft {

// A term from the wire that is further ahead is refused: one lying peer must not use up all terms.
inline constexpr uint64_t kTermJumpMax = uint64_t{1} << 32;
// Reads waiting on one node, as leader or for an answer of the leader; beyond it they are BUSY.
inline constexpr size_t kPendingReadsMax = 1 << 16;
// A peer that does not acknowledge what is in flight for this many heartbeats is probed again.
inline constexpr uint32_t kWatchdogHeartbeats = 4;
// A follower gives up an unanswered read question after this many election timeouts.
inline constexpr uint32_t kReadQuestionTimeouts = 4;

struct RaftNode::Impl {
  Impl(const Options& options, Restored restored);

  void step(Event event, Output* out);

  // --- start.cpp
  void restore_configurations(Configuration as_of_applied);

  // --- raft_node.cpp
  void finish_step();
  void print_context(char* buffer, unsigned long bytes) const;

  // --- receive.cpp, message_check.cpp
  void handle(MessageReceived& event);
  void handle_lower_term(const Message& message);
  // Takes over a higher term from the message where the rules say so; false: ignore the message.
  bool handle_higher_term(const Message& message);
  void dispatch(Message& message);
  // The sender leads this node's term: follow it.  Two leaders in one term abort (A7).
  void follow(NodeId from);
  // The reason why a message cannot be right, nullptr when it can.
  const char* flaw_of(const Message& message) const;
  // Sends now, or once the term that it carries is durable.
  void send(Message message);
  void send_after(uint64_t sequence, Message message);
  Message make(MessageType type, NodeId to) const;

  // --- role.cpp
  void set_term(Term term);
  void set_vote(NodeId candidate);
  void become_follower(Term term, NodeId leader);
  void become_pre_candidate();
  void become_candidate();
  void become_leader();
  void leave_leadership();
  // Ends the questions that went to the previous leader.
  void set_leader(NodeId leader);
  void reset_election_timer();
  bool may_campaign() const;
  bool is_electable() const;
  bool is_sole_voter() const;

  // --- election.cpp
  void handle(Campaign&);
  void campaign();
  void start_election(bool forced);
  void ask_for_votes(MessageType type, Term term, bool forced);
  void count_vote(NodeId from, bool granted);
  bool sticks_to_leader(const Message& message) const;
  bool is_promised(const Message& message) const;
  void handle_vote_request(const Message& message);
  void handle_vote_reply(const Message& message);
  void handle_timeout_now(const Message& message);

  // --- persist.cpp
  void handle(LogPersisted& event);
  void append_own(EntryKind kind, SharedBytes data);
  void append_entry(Entry entry);
  void truncate_log(Index from);
  void flush_write();
  void release_deferred();

  // --- propose.cpp
  void handle(Propose& event);
  Code proposal_verdict(uint64_t bytes) const;

  // --- append_leader.cpp
  void broadcast_appends();
  void replicate(Progress& peer);
  bool send_append(Progress& peer);
  bool may_send_append(const Progress& peer) const;
  void ship(Progress& peer, std::vector<Entry> entries);
  void request_load(Progress& peer);
  void handle(EntriesLoaded& event);
  void take_loaded(Progress& peer, EntriesLoaded& event);
  void handle_append_reply(const Message& message);
  void handle_append_rejected(Progress& peer, const Message& message);
  bool notice_reverted(Progress& peer, const Message& rejection);
  void on_heard(Progress& peer, const Message& reply);
  void send_heartbeat(Progress& peer);
  void broadcast_heartbeats();
  void handle_heartbeat_reply(const Message& message);
  void handle(PeerUnreachable& event);
  void handle(PeerConnected& event);
  void send_commit_notices();
  Progress* find_peer(NodeId id);
  bool is_active(const Progress& peer) const;

  // --- append_follower.cpp
  void handle_append(Message& message);
  bool matches_previous(const Message& message);
  // Appends what is new; false when the entries contradict what is committed here or are malformed.
  bool take_entries(Message& message);
  void reject_append(const Message& message);
  void send_ack();
  void send_ack_if_durable();
  void echo_round(uint64_t round);
  void handle_heartbeat(const Message& message);

  // --- commit.cpp, apply.cpp
  // The highest value that a quorum of the voters reaches.
  uint64_t quorum_value(uint64_t own, uint64_t (*of_peer)(const Progress&));
  void maybe_commit();
  void advance_commit(Index index);
  void handle(Applied& event);
  void give_out_committed();
  void give_out(std::vector<Entry> entries);
  void take_loaded_for_apply(EntriesLoaded& event);
  bool is_intact_range(const std::vector<Entry>& entries, Index first) const;

  // --- read_index.cpp
  void handle(ReadIndexRequest& event);
  void enqueue_read(const PendingRead& read);
  void start_read_round();
  void run_reads();
  void confirm_reads();
  void answer_read(const PendingRead& read, Code code, Index index);
  void fail_reads();
  void handle_read_index(const Message& message);
  void handle_read_index_reply(const Message& message);
  void expire_read_questions();
  uint64_t confirmed_round();
  void note_freshness();

  // --- lease.cpp
  LeaderLease lease();

  // --- membership.cpp
  void handle(ProposeConfiguration& event);
  Code configuration_verdict(const Configuration& wanted) const;
  void append_configuration(const Configuration& wanted);
  void adopt_configuration(Index at, Configuration configuration);
  void rebuild_peers();
  void promote_learners();
  void update_catch_up(Progress& peer);
  void drop_removed_peers();
  void step_down_if_removed();
  const Configuration& configuration() const { return configurations_.back().second; }
  // Leads, and this term's no-op is committed.
  bool is_ready() const { return role_ == Role::kLeader && commit_ >= term_start_; }
  bool change_pending() const { return configurations_.back().first > commit_; }

  // --- transfer.cpp
  void handle(DiskSpace& event) { space_low_ = event.low; }
  void handle(TransferLeadership& event);
  void continue_transfer();
  Progress* best_successor();
  void send_timeout_now(NodeId target);
  void step_down_for_stalled_disk();

  // --- snapshot.cpp
  void handle(SnapshotStaged& event);
  SnapshotDecision decide_snapshot(const SnapshotStaged& event);
  void handle(SnapshotInstalled& event);
  void handle(SnapshotInstallFailed&);
  void handle(SnapshotSent& event);
  void handle(LogCompacted& event);
  void request_snapshot(Progress& peer);

  // --- tick.cpp
  void handle(Tick&);
  void tick_follower();
  void tick_leader();
  void tick_peer(Progress& peer);
  bool has_quorum_contact() const;
  bool disk_stalled() const;

  const Options options_;
  Random random_;
  Output* out_ = nullptr;  // of the current step
  uint64_t ticks_ = 0;
  bool space_low_ = false;

  // Figure 2, state on all servers.
  Term term_;
  NodeId voted_for_;
  RaftLog log_;
  Index commit_;
  Index applied_;
  Index given_out_;  // committed entries up to here were handed to the state machine
  // Every configuration that may still be asked for, with the index of its entry, newest last.
  std::vector<std::pair<Index, Configuration>> configurations_;

  Role role_ = Role::kFollower;
  NodeId leader_;
  NodeId term_leader_;             // who ever led this term, even if it was given up since
  uint32_t election_elapsed_ = 0;  // ticks since a leader was heard or a vote granted
  uint32_t election_timeout_ = 0;
  uint64_t promised_until_tick_ = 0;  // no vote before, see Options::vote_promise_ms

  // Persistence.
  WriteTracker writes_;
  LogWrite pending_;                  // what this step writes
  bool hard_state_changed_ = false;   // term or vote, in this step
  uint64_t hard_state_sequence_ = 0;  // the write that holds the current term and vote
  Index commit_written_;
  bool commit_hint_due_ = false;
  struct Deferred {
    uint64_t sequence;
    Message message;
  };
  std::deque<Deferred> deferred_;

  // Follower.
  Index matched_;          // known to equal the leader's log; restarts at commit_ in each term
  Index ack_wanted_;       // the end of the longest append taken in this term
  Index acked_;            // told the leader of this term
  bool reverted_ = false;  // this term's leader says so
  uint64_t round_seen_ = 0;
  uint64_t round_echoed_ = 0;
  std::optional<SnapshotMeta> installing_;
  struct ReadQuestion {
    uint64_t token;
    uint64_t deadline_tick;
  };
  std::deque<ReadQuestion> read_questions_;

  // Candidate.
  std::vector<std::pair<NodeId, bool>> votes_;
  bool own_vote_counted_ = false;

  // Leader.
  std::vector<Progress> peers_;
  Index term_start_;  // this term's no-op
  uint32_t heartbeat_elapsed_ = 0;
  uint64_t read_round_ = 0;
  ReadQueue reads_;
  std::deque<std::pair<Index, uint64_t>> uncommitted_;  // last index and bytes of each batch
  uint64_t uncommitted_bytes_ = 0;
  NodeId transfer_target_;
  uint32_t transfer_ticks_ = 0;
  bool told_to_campaign_ = false;  // another node, in this term
  uint64_t fresh_round_ = 0;       // in which peers' freshness was last noted, see Progress
  Index fresh_commit_;
  std::vector<uint64_t> quorum_scratch_;

  // Survive changes of role, because their answers do.
  std::vector<NodeId> snapshots_outstanding_;

  // Apply.
  std::optional<Index> apply_load_;
  bool apply_load_failed_ = false;
  std::deque<std::pair<Index, uint64_t>> applying_;  // last index and bytes of each hand-out
  uint64_t applying_bytes_ = 0;
};

}  // namespace kvstore::raft
