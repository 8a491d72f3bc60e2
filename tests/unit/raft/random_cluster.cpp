#include "random_cluster.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "support/raft/describe.hpp"

namespace kvstore::raft::testing {

namespace {

constexpr uint64_t kFaultTime = 6000;
constexpr uint64_t kHealTime = 8000;
constexpr size_t kMembersMax = 7;

}  // namespace

RandomCluster::RandomCluster(uint64_t seed) : random_(seed) {
  base_options_.heartbeat_ticks = 2;
  base_options_.election_ticks = 10;
  base_options_.disk_stall_ticks = 30;
  base_options_.append_bytes_max = 100 + below(600);
  base_options_.inflight_messages_max = static_cast<uint32_t>(1 + below(8));
  base_options_.inflight_bytes_max = 500 + below(3000);
  base_options_.apply_bytes_max = 100 + below(2000);
  base_options_.entry_cache_bytes = below(3000);
  base_options_.uncommitted_bytes_max = 2000 + below(20000);
  drop_percent_ = below(2) * below(20);
  duplicate_percent_ = below(2) * below(20);
  delay_max_ = 1 + below(25);
  disk_delay_max_ = 1 + below(30);

  constexpr uint64_t kSizes[] = {1, 2, 3, 3, 3, 5, 5};
  const uint64_t count = kSizes[below(std::size(kSizes))];
  Configuration configuration;
  for (uint64_t id = 1; id <= count; ++id) configuration.set({.id = {id}, .voter = true});
  for (; next_node_ <= count; ++next_node_) add_node({next_node_}, configuration);
}

void RandomCluster::after(uint64_t delay, std::function<void()> action) {
  schedule_.push({now_ + delay, order_++, std::move(action)});
}

void RandomCluster::after_on(uint64_t delay, NodeId id, std::function<void(SimNode&)> action) {
  const uint64_t life = nodes_.at(id).life;
  after(delay, [this, id, life, action = std::move(action)]() mutable {
    SimNode& node = nodes_.at(id);
    if (!node.raft || node.life != life) return;
    if (node.paused_until > now_)
      after_on(node.paused_until - now_ + below(5), id, std::move(action));
    else
      action(node);
  });
}

void RandomCluster::run_until(uint64_t time) {
  while (!schedule_.empty() && schedule_.top().time <= time) {
    std::function<void()> action = schedule_.top().action;
    now_ = schedule_.top().time;
    schedule_.pop();
    action();
  }
  now_ = time;
}

SimNode& RandomCluster::add_node(NodeId id, const Configuration& configuration) {
  SimNode& node = nodes_[id];
  node.options = base_options_;
  node.options.id = id;
  node.options.seed = random_.next();
  node.state.configuration = node.synced.configuration = configuration;
  start(node);
  return node;
}

void RandomCluster::start(SimNode& node) {
  ++node.life;
  const Restored restored =
      node.disk.restore(node.state.at, node.state.configuration, node.options.entry_cache_bytes);
  const Status status = check_restored(node.options, restored);
  if (!status) throw Violation(status.to_string());
  node.raft.emplace(node.options, restored);
  checker_.begin_life(*node.raft);
  schedule_tick(node.options.id);
}

void RandomCluster::schedule_tick(NodeId id) {
  after_on(kTick - 1 + below(3), id, [this, id](SimNode& node) {
    step(node, Tick{});
    schedule_tick(id);
  });
}

void RandomCluster::step(SimNode& node, Event event) {
  Output out;
  const Configuration before = node.raft->configuration();
  node.raft->step(std::move(event), &out);
  checker_.check_output(*node.raft, node.disk.durable(), out);
  std::map<NodeId, const DurableLog*> logs;
  for (const auto& [id, other] : nodes_) logs[id] = &other.disk.durable();
  checker_.check_node(*node.raft, before, logs);
  carry_out(node, out);
}

void RandomCluster::carry_out(SimNode& node, Output& out) {
  const NodeId id = node.options.id;
  for (LogWrite& write : out.log_writes) node.disk.write(std::move(write));
  if (!node.disk.idle()) schedule_persist(node);
  for (Entry& entry : out.committed) node.to_apply.push_back(std::move(entry));
  if (!node.to_apply.empty()) schedule_apply(node);
  for (const LoadRequest& load : out.loads) answer_load(node, load);
  for (NodeId to : out.send_snapshots) send_snapshot(node, to);
  for (Message& message : out.messages) {
    if (message.from != id) throw Violation("a message from somebody else");
    send(std::move(message));
  }
}

void RandomCluster::send(Message message) {
  if (chance(drop_percent_)) return;
  const int copies = chance(duplicate_percent_) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    after(1 + below(delay_max_), [this, message] {
      if (cut_.count({message.from, message.to}) == 0) arrive(message);
    });
  }
}

void RandomCluster::arrive(const Message& message) {
  auto target = nodes_.find(message.to);
  if (target == nodes_.end() || !target->second.raft) return;
  const uint64_t paused_until = target->second.paused_until;
  if (paused_until > now_)
    after(paused_until - now_ + below(20), [this, message] { arrive(message); });
  else
    step(target->second, MessageReceived{message});
}

void RandomCluster::schedule_persist(SimNode& node) {
  if (node.persist_scheduled) return;
  node.persist_scheduled = true;
  uint64_t delay = 1 + below(disk_delay_max_);
  if (node.disk_stalled_until > now_) delay += node.disk_stalled_until - now_;
  after_on(delay, node.options.id, [this](SimNode& later) {
    later.persist_scheduled = false;
    const uint64_t sequence = later.disk.persist(1 + below(later.disk.queued() + 1));
    if (!later.disk.idle()) schedule_persist(later);
    if (sequence > 0) step(later, LogPersisted{sequence});
  });
}

void RandomCluster::schedule_apply(SimNode& node) {
  if (node.apply_scheduled) return;
  node.apply_scheduled = true;
  after_on(1 + below(10), node.options.id, [this](SimNode& later) {
    later.apply_scheduled = false;
    if (!later.installing) apply(later);
  });
}

void RandomCluster::apply(SimNode& node) {
  if (node.to_apply.empty()) return;
  size_t count = 1 + below(node.to_apply.size());
  for (; count > 0; --count) {
    const Entry entry = std::move(node.to_apply.front());
    node.to_apply.pop_front();
    if (entry.id.index != node.state.at.index + 1)
      throw Violation("a gap before the state machine");
    node.state.at = entry.id;
    if (entry.kind == EntryKind::kConfiguration)
      node.state.configuration = Configuration::decode(entry.data.view()).value();
    node.state.hash = (node.state.hash ^ entry.crc) * 0x100000001b3u + entry.id.index.value;
    checker_.check_applied(node.options.id, entry.id, node.state.hash);
    node.unsynced[entry.id.index.value] = node.state;
  }
  if (!node.to_apply.empty()) schedule_apply(node);
  step(node, Applied{node.state.at.index});
}

void RandomCluster::answer_load(SimNode& node, const LoadRequest& request) {
  EntriesLoaded loaded = node.disk.load(request);  // may be stale when it arrives
  if (faults_ && chance(5)) loaded = {request.peer, request.first, Code::kIo, {}};
  after_on(1 + below(20), node.options.id,
           [this, loaded = std::move(loaded)](SimNode& later) { step(later, loaded); });
}

void RandomCluster::send_snapshot(SimNode& sender, NodeId to) {
  const NodeId from = sender.options.id;
  if (!streams_.insert({from, to}).second) throw Violation("a second snapshot to one peer");
  const AppliedState state = sender.state;
  const Configuration& recorded = sender.raft->configuration_at(state.at.index);
  if (recorded != state.configuration) throw Violation("configuration_at differs from the applied");
  const Term term = sender.raft->term();
  after_on(10 + below(100), from, [this, from, to, term, state](SimNode&) {
    if (faults_ && chance(20)) return report_snapshot(from, to, false, {});
    stage_snapshot(from, to, term, state);
  });
}

void RandomCluster::stage_snapshot(NodeId from, NodeId to, Term term, const AppliedState& state) {
  auto target = nodes_.find(to);
  if (target == nodes_.end() || !target->second.raft || cut_.count({from, to}) != 0)
    return report_snapshot(from, to, false, {});
  SimNode& node = target->second;
  Output out;
  node.raft->step(SnapshotStaged{from, term, {state.at, state.configuration}}, &out);
  if (!out.snapshot_decision) throw Violation("no decision about a snapshot");
  checker_.check_output(*node.raft, node.disk.durable(), out);
  const SnapshotDecision decision = *out.snapshot_decision;
  carry_out(node, out);
  if (decision != SnapshotDecision::kInstall)
    return report_snapshot(from, to, decision == SnapshotDecision::kAlreadyHave, state.at);
  node.installing = true;
  const uint64_t life = node.life;
  after(10 + below(60), [this, from, to, state, life] {
    SimNode& later = nodes_.at(to);
    if (!later.raft || later.life != life) return report_snapshot(from, to, false, {});
    install_snapshot(later, from, state);
  });
}

void RandomCluster::install_snapshot(SimNode& node, NodeId from, const AppliedState& state) {
  const NodeId to = node.options.id;
  node.installing = false;
  if (faults_ && chance(15)) {
    report_snapshot(from, to, false, {});
    if (!node.to_apply.empty()) schedule_apply(node);
    return step(node, SnapshotInstallFailed{});
  }
  node.to_apply.clear();
  node.state = node.synced = state;
  node.unsynced.clear();
  checker_.check_applied(to, state.at, state.hash);
  if (faults_ && chance(10)) {
    report_snapshot(from, to, false, {});
    return crash(node);  // the state is switched, the log is not reset yet
  }
  const uint64_t sequence = node.disk.reset(state.at);
  if (sequence > 0) step(node, LogPersisted{sequence});
  step(node, SnapshotInstalled{{state.at, state.configuration}});
  if (!node.to_apply.empty()) schedule_apply(node);
  report_snapshot(from, to, true, state.at);
}

void RandomCluster::report_snapshot(NodeId from, NodeId to, bool ok, LogId last) {
  if (streams_.count({from, to}) == 0) return;
  after_on(1 + below(20), from, [this, from, to, ok, last](SimNode& sender) {
    streams_.erase({from, to});
    step(sender, SnapshotSent{to, ok, last});
  });
}

// --- Faults and clients.

SimNode& RandomCluster::any_node() {
  auto node = nodes_.begin();
  std::advance(node, below(nodes_.size()));
  return node->second;
}

SimNode* RandomCluster::some_leader() {
  std::vector<SimNode*> leaders;
  for (auto& [id, node] : nodes_) {
    if (node.raft && node.paused_until <= now_ && node.raft->role() == Role::kLeader)
      leaders.push_back(&node);
  }
  return leaders.empty() ? nullptr : leaders[below(leaders.size())];
}

void RandomCluster::crash(SimNode& node) {
  if (!node.raft) return;
  const NodeId id = node.options.id;
  node.raft.reset();
  const size_t whole = node.disk.queued() == 0 ? 0 : below(node.disk.queued() + 1);
  node.disk.crash(whole, below(6));
  node.persist_scheduled = node.apply_scheduled = node.installing = false;
  node.to_apply.clear();
  std::erase_if(streams_, [id](const auto& link) { return link.first == id; });
  // The state machine keeps some prefix of what was applied since its last sync.
  node.state = node.synced;
  uint64_t kept = below(node.unsynced.size() + 1);
  for (auto it = node.unsynced.begin(); kept > 0; ++it, --kept) node.state = it->second;
  std::erase_if(node.unsynced, [&](const auto& s) { return s.first > node.state.at.index.value; });
  if (faults_) {
    after(1 + below(500), [this, id] {
      if (!nodes_.at(id).raft) start(nodes_.at(id));
    });
  }
}

void RandomCluster::partition() {
  std::set<NodeId> side;
  for (const auto& [id, node] : nodes_) {
    if (chance(50)) side.insert(id);
  }
  for (const auto& [a, unused_a] : nodes_) {
    for (const auto& [b, unused_b] : nodes_) {
      if (side.count(a) != side.count(b)) cut_.insert({a, b});
    }
  }
}

void RandomCluster::cut_one_way() {
  const NodeId from = any_node().options.id;
  const NodeId to = any_node().options.id;
  cut_.insert({from, to});
}

void RandomCluster::change_membership() {
  SimNode* leader = some_leader();
  if (leader == nullptr) return;
  ProposeConfiguration change{next_token_++, leader->raft->configuration()};
  Configuration& wanted = change.configuration;
  const Member chosen = wanted.members[below(wanted.members.size())];
  switch (below(4)) {
    case 0:
    case 1:
      if (wanted.members.size() >= kMembersMax) return;
      wanted.set({.id = {next_node_}, .voter = false, .auto_promote = chance(80)});
      add_node({next_node_++}, {});
      break;
    case 2:
      wanted.remove(chosen.id);
      break;
    case 3:
      wanted.set({.id = chosen.id, .voter = !chosen.voter});
      break;
  }
  step(*leader, std::move(change));
}

void RandomCluster::sync_and_compact(SimNode& node) {
  node.synced = node.state;
  node.unsynced.clear();
  // The log is kept until the state is durable, and what is compacted of it must be durable too.
  const DurableLog& durable = node.disk.durable();
  const Index upto = std::min(node.synced.at.index, durable.last().index);
  if (node.installing || upto <= durable.base.index || !durable.contains(durable.at(upto).id))
    return;
  if (!node.raft || upto > node.raft->durable_index()) return;
  const Index chosen = durable.base.index + 1 + below(upto - durable.base.index);
  node.disk.compact(chosen);
  step(node, LogCompacted{chosen});
}

void RandomCluster::propose() {
  SimNode& node = chance(10) ? any_node() : (some_leader() ? *some_leader() : any_node());
  if (!node.raft || node.paused_until > now_) return;
  Propose batch;
  for (uint64_t i = 0, count = 1 + below(4); i < count; ++i) {
    const uint64_t token = next_token_++;
    batch.proposals.push_back(
        {token, SharedBytes(fmt::format("{}{}", token, std::string(below(100), '.')))});
  }
  step(node, std::move(batch));
}

// A process is stopped and goes on later without knowing it: what it believed may have become
// wrong.
void RandomCluster::pause(SimNode& node) {
  node.paused_until = now_ + below(800);
  after_on(0, node.options.id, [this](SimNode& later) { read(later); });
}

void RandomCluster::read(SimNode& node) {
  if (!node.raft || node.paused_until > now_) return;
  const uint64_t token = next_token_++;
  checker_.read_asked(token);
  step(node, ReadIndexRequest{token});
}

void RandomCluster::disturb() {
  if (!faults_) return;
  SimNode& node = any_node();
  switch (below(14)) {
    case 0:
    case 1:
      crash(node);
      break;
    case 2:
      partition();
      break;
    case 3:
      cut_one_way();
      break;
    case 4:
    case 5:
      cut_.clear();
      break;
    case 6:
      node.disk_stalled_until = now_ + below(600);
      break;
    case 7:
      if (SimNode* leader = some_leader())
        step(*leader, TransferLeadership{chance(30) ? kNoNode : any_node().options.id});
      break;
    case 8:
    case 9:
      change_membership();
      break;
    case 10:
      if (node.raft) step(node, PeerConnected{any_node().options.id});
      break;
    case 11:
      if (node.raft) step(node, PeerUnreachable{any_node().options.id});
      break;
    case 12:
    case 13:
      if (SimNode* leader = some_leader()) pause(chance(70) ? *leader : node);
      break;
  }
  if (chance(50)) sync_and_compact(any_node());
  after(10 + below(300), [this] { disturb(); });
}

void RandomCluster::run() {
  std::function<void()> client = [&] {
    if (!faults_) return;
    chance(60) ? propose() : read(any_node());
    after(1 + below(30), client);
  };
  after(50, client);
  after(300, [this] { disturb(); });
  run_until(kFaultTime);
  heal();
  const uint64_t deadline = now_ + kHealTime;
  while (!has_converged()) {
    if (now_ >= deadline) throw Violation("does not converge after healing\n" + describe_nodes());
    run_until(now_ + 100);
    propose();
    read(any_node());
  }
}

void RandomCluster::heal() {
  faults_ = false;
  cut_.clear();
  drop_percent_ = duplicate_percent_ = 0;
  delay_max_ = 5;
  disk_delay_max_ = 5;
  for (auto& [id, node] : nodes_) {
    node.disk_stalled_until = node.paused_until = 0;
    if (!node.raft) start(node);
  }
}

bool RandomCluster::has_converged() {
  run_until(now_ + 300);  // what was proposed is given time to be applied
  SimNode* leader = nullptr;
  for (auto& [id, node] : nodes_) {
    if (!node.raft || node.raft->role() != Role::kLeader) continue;
    if (leader == nullptr || node.raft->term() > leader->raft->term()) leader = &node;
  }
  if (leader == nullptr || !leader->raft->leader_ready()) return false;
  const RaftNode& raft = *leader->raft;
  if (raft.applied_index() != raft.log().last().index) return false;
  for (const Member& member : raft.configuration().members) {
    const RaftNode& other = *nodes_.at(member.id).raft;
    if (other.applied_index() != raft.applied_index() || other.leader() != raft.id() ||
        other.configuration() != raft.configuration())
      return false;
    if (member.auto_promote && !member.voter) return false;
  }
  for (const PeerStatus& peer : raft.peers()) {
    if (peer.state != PeerStatus::State::kReplicate || peer.match != raft.log().last().index)
      return false;
  }
  return true;
}

std::string RandomCluster::describe_nodes() {
  std::string text;
  for (auto& [id, node] : nodes_) {
    const RaftNode& raft = *node.raft;
    text += fmt::format("{} {} term={} leader={} log={}..{} commit={} applied={} durable={} [{}]\n",
                        id.value, role_name(raft.role()), raft.term().value, raft.leader().value,
                        raft.log().first_index().value, raft.log().last().index.value,
                        raft.commit_index().value, raft.applied_index().value,
                        raft.durable_index().value, describe(raft.configuration()));
    for (const PeerStatus& peer : raft.peers()) text += "  " + describe(peer) + "\n";
  }
  return text;
}

}  // namespace kvstore::raft::testing
