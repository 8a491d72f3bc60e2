#include "sim/nemesis.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace kvstore::sim {
namespace {

constexpr size_t kNodesMax = 7;

}  // namespace

Nemesis::Nemesis(SimCluster* cluster, Checker* checker, const Plan& plan, Coverage* coverage)
    : cluster_(cluster),
      checker_(checker),
      world_(cluster->world),
      plan_(plan),
      coverage_(coverage) {}

void Nemesis::say(Fault fault, const std::string& what) {
  coverage_->count(fault);
  if (on_act) on_act(fmt::format("{}: {}", fault_name(fault), what));
}

bool Nemesis::is_member(size_t i) {
  std::optional<size_t> leads = cluster_->leader();
  return leads && (*cluster_)[*leads].raft().configuration().find((*cluster_)[i].id()) != nullptr;
}

// Whether any node may take this one for a member; a node that is down may.
bool Nemesis::known_to_any(size_t wanted) {
  for (size_t i = 0; i < cluster_->size(); ++i) {
    if (i == wanted) continue;
    if (!(*cluster_)[i].running()) return true;
    const raft::Configuration& configuration = (*cluster_)[i].raft().configuration();
    if (configuration.find((*cluster_)[wanted].id()) != nullptr) return true;
  }
  return false;
}

void Nemesis::start(size_t i) {
  SimNode& node = (*cluster_)[i];
  if (node.running()) return;
  const bool ahead = node.state_ahead_of_log();
  say(Fault::kRestart, node.name());
  if (ahead) coverage_->count(Fault::kStateAheadOfLog);
  node.disk_faults.fail_write = node.disk_faults.fail_read = node.disk_faults.fail_sync = false;
  node.start();
}

void Nemesis::cut_power(size_t i) {
  SimNode& node = (*cluster_)[i];
  if (!node.log_disk().idle()) coverage_->count(Fault::kTornWrite);
  if (node.has_unsynced_state()) coverage_->count(Fault::kStateLost);
  node.crash(SimNode::Crash::kPower);
}

void Nemesis::act() {
  watch_installs();
  const size_t i = some_node();
  if (!(*cluster_)[i].running()) {
    if (chance(25)) start(i);
    return;
  }
  if ((*cluster_)[i].paused()) return;
  switch (world_.below(8)) {
    case 0:
      return act_on_process(i);
    case 1:
      return act_on_power(i);
    case 2:
    case 3:
      return act_on_network(i);
    case 4:
      return act_on_disk(i);
    case 5:
      return act_on_clock(i);
    case 6:
      return act_on_membership(i);
    default:
      return lose_disk(i);
  }
}

// Crashes while a snapshot arrives, is installed or is sent are rare by themselves.
void Nemesis::watch_installs() {
  if (!plan_.crashes && !plan_.power_cuts) return;
  for (size_t i = 0; i < cluster_->size(); ++i) {
    SimNode& node = (*cluster_)[i];
    if (!node.running() || node.paused()) continue;
    const bool installs = node.receiving();
    if ((!installs && !node.streaming()) || !chance(installs ? 60 : 40)) continue;
    say(installs ? Fault::kCrashInInstall : Fault::kCrashInStream, node.name());
    if (plan_.power_cuts) {
      cut_power(i);
    } else {
      node.crash(SimNode::Crash::kProcess);
    }
  }
}

void Nemesis::act_on_process(size_t i) {
  SimNode& node = (*cluster_)[i];
  const uint64_t dice = world_.below(100);
  if (dice < 40 && plan_.crashes) {
    say(Fault::kCrash, node.name());
    node.crash(SimNode::Crash::kProcess);
  } else if (dice < 44 && plan_.crashes) {
    say(Fault::kCrashAll, "every node");
    for (size_t k = 0; k < cluster_->size(); ++k) {
      if ((*cluster_)[k].running()) (*cluster_)[k].crash(SimNode::Crash::kProcess);
    }
  } else if (dice < 55 && plan_.crashes) {
    say(Fault::kShutdown, node.name());
    node.shut_down(500 * kMs);
  } else if (dice < 90 && plan_.pauses) {
    const size_t whom = chance(50) ? cluster_->leader().value_or(i) : i;
    if ((*cluster_)[whom].paused()) return;
    say(Fault::kPause, (*cluster_)[whom].name());
    pause(whom);
  }
}

void Nemesis::pause(size_t i) {
  SimNode* node = &(*cluster_)[i];
  node->pause();
  world_.after(world_.between(50, 4'000) * kMs, [node, life = node->life()] {
    if (node->life() == life && node->paused()) node->resume();
  });
}

// Two groups that do not hear each other; often the leader is with the smaller one.
void Nemesis::split() {
  std::vector<size_t> group(cluster_->size());
  for (size_t& side : group) side = world_.below(2);
  if (std::optional<size_t> leader = cluster_->leader(); leader && chance(60)) {
    std::fill(group.begin(), group.end(), 1);
    group[*leader] = 0;
    group[some_node()] = 0;
  }
  for (size_t a = 0; a < group.size(); ++a) {
    for (size_t b = a + 1; b < group.size(); ++b) {
      if (group[a] != group[b])
        cluster_->network.cut((*cluster_)[a].address(), (*cluster_)[b].address());
    }
  }
}

void Nemesis::act_on_power(size_t i) {
  if (!plan_.power_cuts) return;
  if (chance(80)) {
    say(Fault::kPowerCut, (*cluster_)[i].name());
    return cut_power(i);
  }
  say(Fault::kPowerCutAll, "every node");
  for (size_t k = 0; k < cluster_->size(); ++k) {
    if ((*cluster_)[k].running()) cut_power(k);
  }
}

void Nemesis::act_on_network(size_t i) {
  if (!plan_.partitions) return;
  Network& network = cluster_->network;
  const std::string& address = (*cluster_)[i].address();
  const size_t other = some_node();
  const uint64_t dice = world_.below(100);
  if (dice < 30) {
    network.heal();
  } else if (dice < 36) {
    say(Fault::kPartition, (*cluster_)[i].name() + " from all");
    cluster_->isolate(i);
  } else if (dice < 50) {
    say(Fault::kPartition, "in two groups");
    split();
  } else if (dice < 60) {
    const size_t leader = cluster_->leader().value_or(i);
    say(Fault::kIsolateLeader, (*cluster_)[leader].name());
    cluster_->isolate(leader);
    if (plan_.crashes && chance(40)) bring_back_without_successor(leader);
  } else if (dice < 72) {
    say(Fault::kOneWayPartition, (*cluster_)[i].name() + " to " + (*cluster_)[other].name());
    network.cut_one_way(address, (*cluster_)[other].address());
  } else if (dice < 78 && cluster_->size() >= 4) {
    say(Fault::kMajorityRing, "each node hears its neighbours");
    const size_t count = cluster_->size();
    for (size_t a = 0; a < count; ++a) {
      for (size_t b = a + 1; b < count; ++b) {
        const size_t distance = std::min(b - a, count - (b - a));
        if (distance > count / 4) network.cut((*cluster_)[a].address(), (*cluster_)[b].address());
      }
    }
  } else if (dice < 90) {
    say(Fault::kBreakLink, "some connection");
    network.break_some_link();
  } else if (other != i) {
    say(Fault::kSlowLink, (*cluster_)[i].name() + " - " + (*cluster_)[other].name());
    network.slow_down(address, (*cluster_)[other].address(), world_.between(50, 800) * kMs);
  }
}

// What the isolated leader wrote alone must not win against what its successor committed, even when
// the successor is gone at the moment of the return.
void Nemesis::bring_back_without_successor(size_t isolated) {
  world_.after(world_.between(300, 3'000) * kMs, [this, isolated] {
    const std::optional<size_t> successor = cluster_->leader();
    if (healed_ || !successor || *successor == isolated || (*cluster_)[*successor].paused()) return;
    say(Fault::kSuccessorLost, (*cluster_)[*successor].name());
    (*cluster_)[*successor].crash(SimNode::Crash::kProcess);
    cluster_->network.heal();
  });
}

void Nemesis::act_on_disk(size_t i) {
  if (!plan_.disks) return;
  SimNode& node = (*cluster_)[i];
  switch (world_.below(6)) {
    case 0:
      say(Fault::kWriteError, node.name());
      node.disk_faults.fail_write = true;
      break;
    case 1:
      say(Fault::kReadError, node.name());
      node.disk_faults.fail_read = true;
      break;
    case 2:
      say(Fault::kSyncError, node.name());
      node.disk_faults.fail_sync = true;
      break;
    case 3:
      say(Fault::kStall, node.name());
      node.disk_faults.stalled_until_us = world_.now_us() + world_.between(100, 6'000) * kMs;
      break;
    case 4:
      fill_disk(&node);
      break;
    default:
      say(Fault::kSlowDisk, node.name());
      node.disk_faults.write_max_us = world_.between(30, 300) * kMs;
      break;
  }
}

void Nemesis::fill_disk(SimNode* node) {
  say(Fault::kDiskNearlyFull, node->name());
  node->disk_faults.free_bytes = 0;
  world_.after(world_.between(100, 3'000) * kMs,
               [node] { node->disk_faults.free_bytes = DiskFaults().free_bytes; });
}

void Nemesis::act_on_clock(size_t i) {
  if (!plan_.clocks) return;
  SimNode& node = (*cluster_)[i];
  if (chance(60) || plan_.leases) {
    node.wall_offset_ms = static_cast<int64_t>(world_.below(7'200'000)) - 3'600'000;
    say(Fault::kWallJump, fmt::format("{} to {} ms", node.name(), node.wall_offset_ms));
  } else {
    node.config.tick_us = world_.between(12, 50) * kMs;
    say(Fault::kDrift, fmt::format("{} ticks every {} us", node.name(), node.config.tick_us));
  }
}

void Nemesis::act_on_membership(size_t i) {
  if (chance(40) && cluster_->size() > 1) {
    say(Fault::kTransfer, "to " + (*cluster_)[i].name());
    calls_.push_back(cluster_->control(i, "cluster.transfer",
                                       R"({"node_id":")" + (*cluster_)[i].name() + R"("})"));
    return;
  }
  if (!plan_.membership) return;
  replace_removed(i);
  if (!(*cluster_)[i].running()) return;
  if (chance(50)) {
    add_or_promote(i);
  } else {
    remove_some(i);
  }
}

void Nemesis::add_or_promote(size_t via) {
  size_t joiner = some_node();
  if (chance(40) && cluster_->size() < kNodesMax) {
    joiner = cluster_->add_node();
    (*cluster_)[joiner].config.options = (*cluster_)[0].config.options;
    (*cluster_)[joiner].config.bug = (*cluster_)[0].config.bug;
    (*cluster_)[joiner].config.tick_us = (*cluster_)[0].config.tick_us;
    (*cluster_)[joiner].start();
    checker_->look();
  }
  const bool learner = chance(40);
  say(learner             ? Fault::kAddLearner
      : is_member(joiner) ? Fault::kPromote
                          : Fault::kAddVoter,
      (*cluster_)[joiner].name());
  calls_.push_back(cluster_->add_member(via, joiner, learner));
}

void Nemesis::remove_some(size_t via) {
  const size_t gone = some_node();
  say(Fault::kRemove, (*cluster_)[gone].name());
  removals_.push_back({gone, cluster_->remove_member(via, (*cluster_)[gone].name())});
}

// A machine whose member is known to be removed gets an empty disk and comes back as a new member.
void Nemesis::replace_removed(size_t via) {
  for (auto it = removals_.begin(); it != removals_.end(); ++it) {
    if (!it->call->outcome) continue;
    const bool removed = it->call->outcome->code == Code::kOk;
    const size_t node = it->node;
    removals_.erase(it);
    if (!removed || node == via || known_to_any(node)) return;
    SimNode& machine = (*cluster_)[node];
    if (machine.running()) machine.crash(SimNode::Crash::kProcess);
    say(Fault::kReplace, machine.name());
    machine.wipe();
    machine.start();
    calls_.push_back(cluster_->add_member(via, node, chance(30)));
    return;
  }
}

void Nemesis::lose_disk(size_t i) {
  if (!plan_.losses) return;
  if (lost_) {
    settle();
    return;
  }
  SimNode& node = (*cluster_)[i];
  say(Fault::kDiskLost, node.name());
  node.crash(SimNode::Crash::kPower);
  checker_->ledger().lost_disks.insert(node.id());
  node.wipe();
  node.start();  // under its old name, which is bound to another id
  lost_ = i;
  rescue_ = Rescue::kRemove;
  rescue_call_ = nullptr;
}

// Takes the member with the lost disk out of the cluster and its machine in as a new one.
bool Nemesis::settle() {
  if (!lost_) return true;
  if (rescue_call_ && !rescue_call_->outcome) return false;
  if (rescue_call_) {
    const Code code = rescue_call_->outcome->code;
    rescue_call_ = nullptr;
    const bool gone = code == Code::kOk || code == Code::kNotFound;
    if (rescue_ == Rescue::kRemove && gone) {
      rescue_ = Rescue::kAdd;
    } else if (rescue_ == Rescue::kAdd && cluster_->is_voter(*lost_)) {
      lost_.reset();
      rescue_ = Rescue::kNone;
      return true;
    }
  }
  std::optional<size_t> leads = cluster_->leader();
  if (!leads || (*cluster_)[*leads].paused()) return false;
  start(*lost_);
  say(rescue_ == Rescue::kAdd ? Fault::kReplace : Fault::kRemove, (*cluster_)[*lost_].name());
  rescue_call_ = rescue_ == Rescue::kAdd
                     ? cluster_->add_member(*leads, *lost_)
                     : cluster_->remove_member(*leads, (*cluster_)[*lost_].name());
  return false;
}

void Nemesis::heal() {
  healed_ = true;
  cluster_->network.heal();
  cluster_->network.faults = {};
  for (size_t i = 0; i < cluster_->size(); ++i) {
    SimNode& node = (*cluster_)[i];
    node.disk_faults = {};
    if (node.paused()) node.resume();
    start(i);
  }
}

}  // namespace kvstore::sim
