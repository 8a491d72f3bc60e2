#include "node/node.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/log.hpp"
#include "kv/command_codec.hpp"

namespace kvstore::node {
namespace {

// Where the numbers of this life's questions to other nodes start: far from those of an earlier
// life, whose late answers must not be taken for answers to this one.
uint64_t first_number(uint64_t seed, uint64_t wall_ms) {
  return (seed ^ wall_ms * 0x9e3779b97f4a7c15u) >> 2;
}

}  // namespace

Node::Node(Start start, const Ports& ports)
    : options_(std::move(start.options)),
      identity_(std::move(start.identity)),
      ports_(ports),
      reads_(options_.revision_waiters_max),
      lease_(options_.clock_drift_percent),
      freshness_(first_number(options_.raft.seed, ports.clock->wall_ms()) | 1,
                 ports.clock->now_ms()),
      forwards_(first_number(options_.raft.seed, ports.clock->wall_ms())),
      peers_(ports.transport),
      compaction_(options_.trailing_entries, options_.trailing_bytes),
      retention_(options_.history),
      lease_seed_(first_number(~options_.raft.seed, ports.clock->wall_ms())),
      applied_(std::move(start.applied)),
      last_token_(first_number(options_.raft.seed, ports.clock->wall_ms())),
      leader_time_ms_(applied_.newest_time_ms) {
  KVS_ASSERT(identity_.id && identity_.id == options_.raft.id);
  synced_index_ = start.restored.applied.index;
  state_durable_ = start.restored.applied;
  raft_ = std::make_unique<raft::RaftNode>(options_.raft, std::move(start.restored));
  last_sync_ms_ = ports_.clock->now_ms();
  reads_.on_applied(applied_.index, raft_->term(), applied_.revision);
  retention_.reset(history_state());
  apply_leases(std::exchange(applied_.leases, {}));
  on_configuration_changed();
  publish_view();
}

Node::~Node() {
  // While every member still stands: ends may look at the node.
  reads_.fail_all(Code::kCancelled, "the node stops");
  forwards_.fail_all(Code::kCancelled, "the node stops");
  manager_.fail_all(Code::kCancelled, "the node stops");
  fail_held_calls(Code::kCancelled, "the node stops");
  hashes_.fail_all(Code::kCancelled, "the node stops");
  end_comparison(Code::kCancelled, "the node stops");
  if (transfer_.control) {
    std::exchange(transfer_, {}).control->finish(Code::kCancelled, "the node stops");
  }
  proposals_.fail_all(Code::kCancelled, "the node stops");
  if (install_decided_) {
    std::exchange(install_decided_, nullptr)(Status(Code::kCancelled, "the node stops"));
  }
}

void Node::step(raft::Event event) {
  if (failed()) return;
  raft_->step(std::move(event), &out_);
}

void Node::tick() {
  if (failed()) return;
  uint64_t now_ms = ports_.clock->now_ms();
  step(raft::Tick{});
  proposals_.expire(now_ms);
  forwards_.expire(now_ms);
  reads_.tick(now_ms, options_.read_retry_ms, static_cast<bool>(raft_->leader()));
  hashes_.expire(now_ms);
  manager_.check_role_waits(*raft_, membership_, now_ms);
  if (dialing_stale_) refresh_dialing();
  settle_removals();
  check_foreign_claim(now_ms);
  // A successor that does not answer keeps the place for an election timeout; then another may.
  if (draining_) hand_leadership_over();
  maybe_sync_state(now_ms);
  expire_snapshot_calls(now_ms);
  if (now_ms - compacted_ms_ >= options_.sync_interval_ms) compact_log();
  maybe_sweep_uploads(now_ms);
  maybe_compact_history();
  maybe_end_leases(now_ms);
}

void Node::on_persisted(uint64_t sequence) {
  step(raft::LogPersisted{sequence});
}

void Node::on_loaded(raft::EntriesLoaded loaded) {
  step(std::move(loaded));
}

void Node::on_applied(const AppliedReport& report) {
  if (failed()) return;
  unsynced_bytes_ += report.bytes;
  applied_ = report;
  apply_leases(std::exchange(applied_.leases, {}));
  step(raft::Applied{report.index});
  reads_.on_applied(report.index, raft_->term(), report.revision);
  retention_.on_applied(history_state());
  maybe_compact_history();
  maybe_end_leases(ports_.clock->now_ms());
}

void Node::on_state_synced(raft::LogId durable) {
  if (failed()) return;
  sync_running_ = false;
  state_durable_ = std::max(state_durable_, durable);
  compact_log();
  settle_snapshot_calls();
}

// After each sync of the state, and now and then without one: what is kept for others changes, too.
void Node::compact_log(bool keep_tail) {
  compacted_ms_ = ports_.clock->now_ms();
  if (install_decided_) return;  // the log is about to be replaced
  // The report of the sync can overtake that of the entries which it covers, and entries can be
  // applied before they are on this node's own disk (a quorum of others has them).
  raft::Index droppable =
      std::min({state_durable_.index, raft_->applied_index(), raft_->durable_index()});
  const raft::Index slowest = follow_peers();
  raft::Index upto =
      compaction_.upto(raft_->log(), droppable, slowest, ports_.clock->now_ms(), keep_tail);
  if (upto <= raft_->log().base().index) return;
  raft::LogId id{*raft_->log().term_at(upto), upto};
  step(raft::LogCompacted{upto});
  ports_.log->compact(id);
}

// Tells the compaction where the peers are; the smallest match of those that take part.
raft::Index Node::follow_peers() {
  const std::vector<raft::PeerStatus> peers = raft_->peers();
  if (peers.empty()) compaction_.release_all();
  raft::Index slowest = raft_->log().last().index;
  for (const raft::PeerStatus& peer : peers) {
    compaction_.follow(peer.id, peer.match);
    if (peer.state == raft::PeerStatus::State::kSnapshot) continue;
    if (peer.recently_active && !peer.reverted) {
      slowest = std::min(slowest, peer.match);
    } else {
      compaction_.release(peer.id);
    }
  }
  return slowest;
}

void Node::on_snapshot_sent(raft::NodeId peer, bool ok, raft::LogId last) {
  if (ok) {
    ++counters_.snapshots_sent;
    compaction_.hold(peer, last.index, ports_.clock->now_ms() + options_.snapshot_hold_ms);
  } else {
    compaction_.release(peer);
  }
  step(raft::SnapshotSent{peer, ok, last});
}

void Node::on_snapshot_staged(raft::SnapshotStaged staged, const wire::ClusterId& cluster,
                              std::unique_ptr<StagedSnapshot> snapshot,
                              std::function<void(Status)> decided) {
  if (failed() || install_decided_ || cluster == wire::ClusterId{} ||
      (!identity_.joined() && !adopt(cluster)) || identity_.cluster != cluster) {
    decided(Status(Code::kBusy, "not now"));
    return;
  }
  raft::SnapshotMeta meta = staged.meta;
  step(std::move(staged));
  KVS_ASSERT(out_.snapshot_decision.has_value());
  switch (*std::exchange(out_.snapshot_decision, std::nullopt)) {
    case raft::SnapshotDecision::kAlreadyHave:
      decided(Status::ok());
      return;
    case raft::SnapshotDecision::kStale:
      decided(Status(Code::kConflict, "the snapshot is stale"));
      return;
    case raft::SnapshotDecision::kInstall:
      break;
  }
  install_decided_ = std::move(decided);
  KVS_LOG(kInfo, "node", "installing snapshot index={} term={}", meta.last.index.value,
          meta.last.term.value);
  carry_out();  // what was committed before goes to the apply thread first
  ports_.snapshot->install(std::move(snapshot), meta);
}

void Node::on_snapshot_installed(const raft::SnapshotMeta& meta, const AppliedReport& report) {
  if (failed()) return;
  ++counters_.snapshots_installed;
  proposals_.fail_up_to(meta.last.index);
  applied_ = report;
  apply_leases(std::exchange(applied_.leases, {}));
  retention_.reset(history_state());
  state_durable_ = meta.last;
  synced_index_ = meta.last.index;
  step(raft::SnapshotInstalled{meta});
  settle_snapshot_calls();
  on_configuration_changed();
  reads_.on_applied(report.index, raft_->term(), report.revision);
  if (install_decided_) std::exchange(install_decided_, nullptr)(Status::ok());
}

void Node::flush() {
  // Each round may lead to another; a bound keeps one flush from starving the executor.
  for (int round = 0; round < 16 && !failed(); ++round) {
    for (raft::NodeId peer : std::exchange(unreachable_, {})) step(raft::PeerUnreachable{peer});
    resubmit_waiting();
    ask_reads();
    manager_.pump(*raft_, membership_, ports_.clock->now_ms(),
                  [this](raft::Event event) { step(std::move(event)); });
    check_transfer();
    if (!carry_out()) break;
  }
  if (view_unsettled_ && !failed() && !raft_->configuration_change_pending()) publish_view();
}

// Hands one output to the ports; false when there was nothing in it.
bool Node::carry_out() {
  if (failed()) return false;
  raft::Output out = std::exchange(out_, {});
  bool any = out.role_changed || out.configuration_changed || !out.log_writes.empty() ||
             !out.messages.empty() || !out.committed.empty() || !out.loads.empty() ||
             !out.reads.empty() || !out.proposals.empty() || !out.send_snapshots.empty();
  for (raft::LogWrite& write : out.log_writes) {
    uint64_t bytes = 0;
    for (const raft::Entry& e : write.entries) bytes += entry_bytes(e);
    if (!write.entries.empty()) compaction_.on_appended(write.entries.back().id.index, bytes);
    ports_.log->write(std::move(write));
  }
  publish_local_reads();
  send_messages(std::move(out.messages));
  if (out.configuration_changed) on_configuration_changed();
  if (failed()) return false;
  if (out.role_changed) on_role_changed();
  for (const raft::ProposeResult& result : out.proposals) manager_.on_proposed(result);
  if (!out.committed.empty()) apply(std::move(out.committed));
  for (const raft::LoadRequest& request : out.loads) ports_.log->load(request);
  for (const raft::ReadResult& result : out.reads) reads_.on_result(result, raft_->term());
  for (raft::NodeId peer : out.send_snapshots) send_snapshot(peer);
  return any;
}

void Node::send_messages(std::vector<raft::Message> messages) {
  // Appends share the LOG lane so that they stay in order; all else is small and must not wait
  // behind them.
  std::map<std::pair<raft::NodeId, Lane>, std::vector<wire::EncodedMessage>> batches;
  for (raft::Message& m : messages) {
    if (m.type == raft::MessageType::kAppendReply || m.type == raft::MessageType::kHeartbeatReply)
      m.token = freshness_.token(ports_.clock->now_ms());
    Lane lane = m.type == raft::MessageType::kAppend ? Lane::kLog : Lane::kControl;
    batches[{m.to, lane}].push_back(wire::encode_message(m));
  }
  for (auto& [key, batch] : batches) {
    Status sent = ports_.transport->send(key.first, key.second, std::move(batch));
    if (!sent && key.second == Lane::kLog) unreachable_.push_back(key.first);
  }
}

void Node::apply(std::vector<raft::Entry> committed) {
  ApplyBatch batch;
  for (size_t i = 0; i < committed.size(); ++i) {
    if (ProposalPtr proposal = proposals_.take_committed(committed[i].id)) {
      batch.proposals.emplace_back(i, std::move(proposal));
    }
  }
  batch.entries = std::move(committed);
  ports_.state->apply(std::move(batch));
}

void Node::send_snapshot(raft::NodeId peer) {
  compaction_.hold(peer, applied_.index, ports_.clock->now_ms() + options_.snapshot_hold_ms);
  ports_.snapshot->send(peer, raft_->term());
}

void Node::on_role_changed() {
  if (raft_->leader() != known_leader_) {
    known_leader_ = raft_->leader();
    next_resubmit_ms_ = 0;
    if (known_leader_) ++counters_.leader_changes;
    KVS_LOG(kInfo, "node", "role={} term={} leader={:016x}", role_name(raft_->role()),
            raft_->term().value, known_leader_.value);
  }
  dialing_stale_ = true;
  maybe_begin_leases();
  publish_view();
}

void Node::on_configuration_changed() {
  Result<Membership> decoded = Membership::decode(raft_->configuration());
  if (!decoded) {
    fail(decoded.status());
    return;
  }
  membership_ = std::move(*decoded);
  refresh_dialing();
  dialing_stale_ = true;  // once more when the change is committed
  publish_view();
}

void Node::publish_view() {
  NodeView view;
  view.cluster = identity_.cluster;
  view.id = identity_.id;
  view.role = raft_->role();
  view.term = raft_->term();
  view.leader = raft_->leader();
  view.identity = identity_;
  view.membership = membership_;
  // What is not committed judges nobody: it may never be, and a member that it removes may be the
  // leader that ends it.
  view_unsettled_ = raft_->configuration_change_pending();
  if (view_unsettled_) {
    if (auto settled = Membership::decode(raft_->configuration_at(raft_->applied_index())))
      view.membership = std::move(*settled);
  }
  if (const MemberInfo* leader = membership_.find(view.leader)) {
    view.leader_name = leader->name;
    view.leader_address = leader->address;
  }
  if (view.leader == identity_.id) {
    view.leader_api_addresses = identity_.api_addresses;
  } else if (const PeerInfo* peer = peers_.find(view.leader)) {
    view.leader_api_addresses = peer->hello.api_addresses;
  }
  ports_.observer->on_view(view);
}

void Node::maybe_sync_state(uint64_t now_ms) {
  bool due =
      now_ms - last_sync_ms_ >= options_.sync_interval_ms || unsynced_bytes_ >= options_.sync_bytes;
  if (due && applied_.index > synced_index_) sync_state(now_ms);
}

void Node::sync_state(uint64_t now_ms) {
  if (sync_running_) return;
  sync_running_ = true;
  last_sync_ms_ = now_ms;
  unsynced_bytes_ = 0;
  synced_index_ = applied_.index;
  ports_.state->sync();
}

void Node::maybe_sweep_uploads(uint64_t now_ms) {
  if (now_ms - last_sweep_ms_ < 10'000) return;
  last_sweep_ms_ = now_ms;
  uint64_t wall_ms = ports_.clock->wall_ms();
  if (!raft_->leader_ready() || applied_.open_uploads == 0 || wall_ms < options_.upload_idle_ms)
    return;
  uint64_t idle_before_ms = wall_ms - options_.upload_idle_ms;
  if (applied_.oldest_upload_ms >= idle_before_ms) return;
  auto sweep = std::make_unique<Proposal>();
  sweep->command = kv::encode_command(kv::SweepUploads{idle_before_ms});
  sweep->deadline_ms = now_ms + 60'000;
  sweep->may_forward = false;
  sweep->done = Completion<ProposalOutcome>([](ProposalOutcome&&) {});
  std::vector<ProposalPtr> one;
  one.push_back(std::move(sweep));
  propose_local(std::move(one));
}

void Node::begin_shutdown() {
  draining_ = true;
  reads_.fail_all(Code::kCancelled, "the node is shutting down");
  hashes_.fail_all(Code::kCancelled, "the node is shutting down");
  for (ControlPtr& ask : forwards_.take_settled(
           [](raft::NodeId, const Control& control) { return control.verb == kHashAtVerb; })) {
    ask->finish(Code::kCancelled, "the node is shutting down");
  }
  hand_leadership_over();
}

// To whichever live voter is furthest; nothing when there is no other, or one is taking over.
void Node::hand_leadership_over() {
  if (leads() && !raft_->transferring() && raft_->configuration().voter_count() > 1) {
    step(raft::TransferLeadership{raft::kNoNode});
  }
}

bool Node::may_stop() const {
  if (failed()) return true;
  bool only_voter = raft_->configuration().voter_count() <= 1;
  bool idle = proposals_.size() == 0 && forwards_.size() == 0 && forwarded_requests_ == 0;
  return idle && (!leads() || only_voter);
}

void Node::fail(const Status& why) {
  if (failed()) return;
  failure_ = why;
  if (why.code() == Code::kClosed) {
    KVS_LOG(kInfo, "node", "{}", why.message());
  } else {
    KVS_LOG(kError, "node", "stopped: {}", why.to_string());
  }
  ports_.observer->on_local_reads({});  // nothing is served from what cannot be trusted
  const std::string message = "this node stopped: " + why.message();
  proposals_.fail_all(Code::kIndeterminate, message.c_str());
  reads_.fail_all(Code::kClosed, message.c_str());
  forwards_.fail_all(Code::kClosed, message.c_str());
  manager_.fail_all(Code::kClosed, message);
  fail_held_calls(Code::kClosed, message);
  hashes_.fail_all(Code::kClosed, message);
  end_comparison(Code::kClosed, message);
  if (transfer_.control) std::exchange(transfer_, {}).control->finish(Code::kClosed, message);
  if (install_decided_) std::exchange(install_decided_, nullptr)(why);
}

}  // namespace kvstore::node
