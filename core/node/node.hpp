// One node of the cluster: consensus, requests and membership over ports.
//
// Lifecycle: built from what the disk holds; driven by the functions below, each batch of calls
// followed by flush(), which carries out what they led to; begin_shutdown() and fail() end it.
// Concurrency: one executor (the raft thread, or the simulator); nothing here locks or blocks.
// Outline: node.cpp turns events into raft steps and outputs into port calls; node_requests.cpp has
// proposals and forwarding; node_reads.cpp reads; node_space.cpp the disk reserve;
// node_membership.cpp hellos and dialling; node_control.cpp the verbs; node_hash.cpp the comparison
// of states; node_history.cpp giving up old history; node_leases.cpp leases; node_snapshot.cpp
// the verb admin.snapshot; node_status.cpp the reports.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/compaction.hpp"
#include "node/forward_table.hpp"
#include "node/freshness.hpp"
#include "node/history_retention.hpp"
#include "node/leadership_clock.hpp"
#include "node/lease_clock.hpp"
#include "node/membership_manager.hpp"
#include "node/options.hpp"
#include "node/peer_directory.hpp"
#include "node/ports.hpp"
#include "node/proposal_table.hpp"
#include "node/read_table.hpp"
#include "node/state_hashes.hpp"
#include "raft/raft_node.hpp"

namespace kvstore::node {

// What the state machine says after a batch.
struct AppliedReport {
  raft::Index index;
  uint64_t revision = 0;
  uint64_t newest_time_ms = 0;
  uint64_t open_uploads = 0;
  uint64_t oldest_upload_ms = 0;
  uint64_t compacted_revision = 0;
  uint64_t oldest_change = 1;
  uint64_t history_bytes = 0;
  uint64_t bytes = 0;  // written since the last report
  kv::LeaseChanges leases;
};

// What a node starts from.
struct Start {
  Options options;
  Identity identity;
  raft::Restored restored;
  AppliedReport applied;
};

// What has to do with leases and was not done, by reason.
struct LeaseRefusals {
  uint64_t not_found = 0;
  uint64_t exists = 0;
  uint64_t too_many = 0;
  uint64_t invalid = 0;
};

struct Counters {
  uint64_t proposals = 0;
  uint64_t reads = 0;
  uint64_t lease_reads = 0;      // of them, served by the lease
  uint64_t too_stale_reads = 0;  // refused
  uint64_t forwarded = 0;
  uint64_t leader_changes = 0;
  uint64_t snapshots_sent = 0;
  uint64_t snapshots_installed = 0;
  uint64_t messages_dropped = 0;   // malformed or from another cluster
  uint64_t state_divergences = 0;  // comparisons that found members with another state
  // Of this node as the leader.
  uint64_t leases_granted = 0;
  uint64_t leases_revoked = 0;
  uint64_t lease_keepalives = 0;
  LeaseRefusals lease_refusals;  // calls of lease.*
};

class Node {
 public:
  Node(Start start, const Ports& ports);
  ~Node();

  // ---- time
  void tick();

  // ---- requests
  void submit(std::vector<ProposalPtr> proposals);
  void read(std::vector<ReadPtr> reads);
  void control(ControlPtr control);

  // ---- transport
  void on_message(raft::NodeId from, const SharedBytes& payload);
  void on_connected(raft::NodeId peer);
  void on_disconnected(raft::NodeId peer);
  void on_peer_writable(raft::NodeId peer, Lane lane);
  void on_rejected(const Status& why);
  // A hello that judge_hello accepted.
  void on_hello(const wire::Hello& hello);
  // A hello for which claims_us holds: requests are refused and leadership is handed over until
  // kForeignClaimMs after the last such hello.
  static constexpr uint64_t kForeignClaimMs = 60'000;
  void on_foreign_hello(const wire::Hello& hello);

  // ---- storage
  void on_persisted(uint64_t sequence);
  void on_loaded(raft::EntriesLoaded loaded);
  void on_applied(const AppliedReport& report);
  void on_state_synced(raft::LogId durable);
  // What is free on the disk, in bytes; below Options::disk_reserve_bytes on any member the leader
  // refuses with NO_SPACE what may grow the state.
  void on_disk_space(uint64_t free_bytes);

  // The state right after a Checkpoint was applied.
  void on_state_hash(const kv::StateHash& hash);

  // ---- snapshots
  void on_snapshot_sent(raft::NodeId peer, bool ok, raft::LogId last);
  // `decided` is called with OK once the snapshot is installed or not needed, else with the reason.
  void on_snapshot_staged(raft::SnapshotStaged staged, const wire::ClusterId& cluster,
                          std::unique_ptr<StagedSnapshot> snapshot,
                          std::function<void(Status)> decided);
  void on_snapshot_installed(const raft::SnapshotMeta& meta, const AppliedReport& report);

  // Where this node's front ends are reached, once they listen.
  void set_api_addresses(std::vector<std::pair<std::string, std::string>> addresses);

  // Carries out everything that the calls since the last flush led to.
  void flush();

  // Hands leadership over and refuses new requests with CLOSED.
  void begin_shutdown();
  // Nothing is left that a client waits for, and another node leads (or nobody could).
  bool may_stop() const;
  // The node cannot go on (a disk failed, state is damaged): everything pending ends, later calls
  // do nothing.
  void fail(const Status& why);
  bool failed() const { return !failure_.is_ok(); }

  const raft::RaftNode& raft() const { return *raft_; }
  const Membership& membership() const { return membership_; }
  const Identity& identity() const { return identity_; }
  const Counters& counters() const { return counters_; }
  const Options& options() const { return options_; }
  uint64_t forwarded_requests() const { return forwarded_requests_; }  // of others, served here
  uint64_t lease_until_ms() const { return lease_.until_ms(); }
  const LeaseClock& lease_clock() const { return lease_clock_; }
  const AppliedReport& applied() const { return applied_; }
  raft::LogId state_durable() const { return state_durable_; }
  uint64_t free_bytes() const { return free_bytes_; }  // UINT64_MAX: not known

 private:
  // node.cpp
  void step(raft::Event event);
  bool carry_out();
  void send_messages(std::vector<raft::Message> messages);
  void apply(std::vector<raft::Entry> committed);
  void compact_log(bool keep_tail = true);
  raft::Index follow_peers();
  void send_snapshot(raft::NodeId peer);
  void on_role_changed();
  void on_configuration_changed();
  void publish_view();
  void maybe_sync_state(uint64_t now_ms);
  void sync_state(uint64_t now_ms);
  void maybe_sweep_uploads(uint64_t now_ms);

  // node_requests.cpp
  Status refusal() const;
  bool leads() const { return raft_->role() == raft::Role::kLeader; }
  void propose_local(std::vector<ProposalPtr> proposals);
  void forward(ForwardTable::Request request);
  Status send_frame(raft::NodeId to, std::string frame);
  void send_request(raft::NodeId to, std::string frame, uint64_t number);
  void pause_after_refusal(raft::NodeId from, Code code);
  void resubmit_waiting();
  void on_forward_request(raft::NodeId from, const SharedBytes& payload);
  void on_control_request(raft::NodeId from, const SharedBytes& payload);
  bool reserve_forwarded(uint64_t bytes);
  void respond(raft::NodeId to, std::string frame);

  // node_reads.cpp
  void read_stale(ReadPtr read);
  bool lease_holds(uint64_t now_ms) const;
  std::optional<uint64_t> staleness_ms(uint64_t now_ms) const;
  void ask_reads();
  void publish_local_reads();

  // node_space.cpp
  std::string members_low_on_space() const;
  void refuse_growing(std::vector<ProposalPtr>* proposals);

  // node_membership.cpp
  bool accept_cluster_of(raft::NodeId from);
  bool adopt(const wire::ClusterId& cluster);
  void bind_admitted(const wire::Hello& hello);
  void refresh_dialing();
  void check_foreign_claim(uint64_t now_ms);

  // node_control.cpp
  void execute(ControlPtr control);
  void control_add(ControlPtr control);
  void control_remove(ControlPtr control);
  void control_transfer(ControlPtr control);
  void settle_removals();
  void check_transfer();
  void hand_leadership_over();
  Status check_removal(const std::string& name, bool force, std::string* code) const;

  // node_hash.cpp
  struct HashComparison;
  void control_hash(ControlPtr control);
  void control_hash_at(ControlPtr control);
  void compare_hashes(const ProposalOutcome& checkpoint);
  void ask_member(raft::NodeId member, ControlPtr control);
  void finish_comparison(HashComparison* comparison);
  void end_comparison(Code code, const std::string& message);

  // node_history.cpp
  HistoryState history_state() const;
  void maybe_compact_history();
  void control_compact(ControlPtr control);

  // node_snapshot.cpp
  void control_snapshot(ControlPtr control);
  void settle_snapshot_calls();
  void expire_snapshot_calls(uint64_t now_ms);

  // node_leases.cpp
  void apply_leases(const kv::LeaseChanges& changes);
  void maybe_begin_leases();
  void maybe_end_leases(uint64_t now_ms);
  void end_leases(std::vector<kv::LeaseRef> due, uint64_t deadline_ms);
  void on_end_answered(const std::vector<kv::LeaseRef>& due, raft::Term term,
                       const ProposalOutcome& outcome);
  void refuse_lease_call(ControlPtr control, Code code, const std::string& message);
  void propose_internal(const kv::Command& command, uint64_t deadline_ms,
                        std::function<void(ProposalOutcome&&)> done);
  uint64_t hold_call(ControlPtr control);
  ControlPtr take_call(uint64_t number);
  void fail_held_calls(Code code, const std::string& message);
  void confirm_leading(ControlPtr control, void (Node::*serve)(ControlPtr));
  void serve_elsewhere(ControlPtr call);
  void execute_lease(ControlPtr control);
  uint64_t choose_lease_id();
  void control_lease_grant(ControlPtr control);
  void control_lease_revoke(ControlPtr control);
  void revoke_lease(uint64_t number, uint64_t id, uint64_t deleted);
  void control_lease_keepalive(ControlPtr control);
  void control_lease_list(ControlPtr control);
  void control_lease_get(ControlPtr control);

  // node_status.cpp
  void control_health(ControlPtr control);
  void control_status(ControlPtr control);
  std::string status_json(const std::string* leader_progress) const;
  std::string progress_json() const;

  Options options_;
  Identity identity_;
  Ports ports_;
  std::unique_ptr<raft::RaftNode> raft_;
  raft::Output out_;
  Membership membership_;

  ProposalTable proposals_;
  ReadTable reads_;
  LeadershipClock lease_;
  Freshness freshness_;
  ForwardTable forwards_;
  PeerDirectory peers_;
  MembershipManager manager_;
  CompactionPolicy compaction_;
  HistoryRetention retention_;
  bool compaction_proposed_ = false;
  LeaseClock lease_clock_;
  raft::Term leases_led_in_;  // the term in which the clock began to count
  uint64_t lease_ends_under_way_ = 0;
  uint64_t lease_seed_;
  // Calls whose answer comes from another thread, so that a stop can end them.
  std::map<uint64_t, ControlPtr> held_calls_;
  uint64_t last_held_call_ = 0;
  // Calls of admin.snapshot, by the number under which they are held, and the state that they wait
  // for to be durable.
  struct SnapshotCall {
    uint64_t number = 0;
    raft::LogId at;
    uint64_t revision = 0;
    uint64_t deadline_ms = 0;
  };
  std::vector<SnapshotCall> snapshot_calls_;
  StateHashes hashes_;
  std::shared_ptr<HashComparison> comparison_;

  AppliedReport applied_;
  raft::LogId state_durable_;
  uint64_t last_token_;  // of our questions for read indexes; starts anew in every life
  uint64_t leader_time_ms_ = 0;
  raft::NodeId known_leader_;
  bool dialing_stale_ = true;
  bool view_unsettled_ = false;            // published while a configuration was not committed
  std::vector<raft::NodeId> unreachable_;  // to be told to raft at the next flush

  bool sync_running_ = false;
  uint64_t compacted_ms_ = 0;  // when the log was last compacted as far as possible
  uint64_t last_sync_ms_ = 0;
  uint64_t unsynced_bytes_ = 0;
  raft::Index synced_index_;
  uint64_t last_sweep_ms_ = 0;
  uint64_t next_resubmit_ms_ = 0;

  std::function<void(Status)> install_decided_;

  // The caller that waits for a transfer of leadership.
  struct Transfer {
    ControlPtr control;
    raft::NodeId target;
    std::string name;
  };
  Transfer transfer_;

  // Requests of other nodes that are being served here.  Their ends may run on other threads, so
  // the budget is given back through the executor: respond() runs there.
  uint64_t forwarded_requests_ = 0;
  uint64_t forwarded_bytes_ = 0;

  uint64_t free_bytes_ = UINT64_MAX;
  bool space_low_ = false;

  bool draining_ = false;
  Status failure_;
  std::string foreign_;
  uint64_t foreign_until_ms_ = 0;
  Counters counters_;
};

}  // namespace kvstore::node
