#include "support/sim/sim_cluster.hpp"

#include <map>
#include <utility>

#include "kv/command_codec.hpp"

namespace kvstore::sim {

size_t SimCluster::add_node() {
  SimConfig config;
  config.name = "n" + std::to_string(nodes_.size() + 1);
  config.address = "host-" + config.name + ":7000";
  config.options.cluster_name = "sim";
  nodes_.push_back(std::make_unique<SimNode>(&world, &network, std::move(config)));
  return nodes_.size() - 1;
}

bool SimCluster::form(size_t count) {
  while (nodes_.size() < count) add_node();
  wire::ClusterId cluster{};
  for (uint8_t& byte : cluster) byte = static_cast<uint8_t>(world.random() | 1);
  nodes_[0]->bootstrap(cluster);
  nodes_[0]->start();
  if (!wait_for_leader()) return false;
  for (size_t i = 1; i < count; ++i) {
    nodes_[i]->start();
    if (wait(add_member(0, i)) != Code::kOk) return false;
    if (!run_until([&] { return is_voter(i); })) return false;
  }
  return wait_for_leader();
}

ControlCallPtr SimCluster::add_member(size_t via, size_t joiner, bool learner) {
  const SimConfig& joining = nodes_[joiner]->config;
  return control(via, "cluster.add",
                 R"({"node_id":")" + joining.name + R"(","address":")" + joining.address +
                     R"(","learner":)" + (learner ? "true" : "false") + "}",
                 20'000);
}

ControlCallPtr SimCluster::remove_member(size_t via, const std::string& name, bool force) {
  return control(via, "cluster.remove",
                 R"({"node_id":")" + name + R"(","force":)" + (force ? "true" : "false") + "}");
}

std::optional<size_t> SimCluster::leader() {
  std::optional<size_t> best;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i]->running() || !nodes_[i]->raft().leader_ready()) continue;
    if (!best || nodes_[i]->raft().term() > nodes_[*best]->raft().term()) best = i;
  }
  return best;
}

std::optional<size_t> SimCluster::some_follower() {
  std::optional<size_t> leads = leader();
  for (size_t i = 0; leads && i < nodes_.size(); ++i) {
    if (i != *leads && nodes_[i]->running() && is_voter(i)) return i;
  }
  return std::nullopt;
}

bool SimCluster::is_voter(size_t i) {
  std::optional<size_t> leads = leader();
  return leads && nodes_[*leads]->raft().configuration().is_voter(nodes_[i]->id());
}

bool SimCluster::wait_for_leader(uint64_t limit_us) {
  return run_until([&] { return leader().has_value(); }, limit_us);
}

WritePtr SimCluster::put(size_t node, const std::string& key, const std::string& value,
                         uint64_t timeout_ms, bool may_forward) {
  kv::Op op;
  op.range.key = key;
  op.value = value;
  kv::Txn txn;
  txn.then_ops.push_back(std::move(op));
  WritePtr call = propose(node, kv::Command(std::move(txn)), timeout_ms, may_forward);
  call->key = key;
  call->value = value;
  return call;
}

WritePtr SimCluster::propose(size_t node, const kv::Command& command, uint64_t timeout_ms,
                             bool may_forward) {
  auto call = std::make_shared<WriteCall>();
  call->node = node;
  auto proposal = std::make_unique<node::Proposal>();
  proposal->command = kv::encode_command(command);
  proposal->deadline_ms = nodes_[node]->clock_ms() + timeout_ms;
  proposal->may_forward = may_forward;
  proposal->done = node::Completion<node::ProposalOutcome>(
      [call](node::ProposalOutcome&& outcome) { call->outcome = std::move(outcome); });
  nodes_[node]->submit(std::move(proposal));
  return call;
}

ReadCallPtr SimCluster::get(size_t node, const std::string& key, uint64_t timeout_ms) {
  auto call = std::make_shared<ReadCall>();
  call->node = node;
  call->key = key;
  auto read = std::make_unique<node::Read>();
  read->deadline_ms = nodes_[node]->clock_ms() + timeout_ms;
  SimNode* at = nodes_[node].get();
  read->done = node::Completion<node::ReadOutcome>([call, at](node::ReadOutcome&& outcome) {
    if (outcome.code == Code::kOk) call->value = at->local_value(call->key);
    call->outcome = std::move(outcome);
  });
  at->read(std::move(read));
  return call;
}

ControlCallPtr SimCluster::control(size_t node, const std::string& verb, const std::string& json,
                                   uint64_t timeout_ms) {
  auto call = std::make_shared<ControlCall>();
  auto control = std::make_unique<node::Control>();
  control->verb = verb;
  control->json = json;
  control->deadline_ms = nodes_[node]->clock_ms() + timeout_ms;
  control->done = node::Completion<node::ControlOutcome>(
      [call](node::ControlOutcome&& outcome) { call->outcome = std::move(outcome); });
  nodes_[node]->control(std::move(control));
  return call;
}

void SimCluster::isolate(size_t i) {
  for (size_t other = 0; other < nodes_.size(); ++other) {
    if (other != i) network.cut(nodes_[i]->address(), nodes_[other]->address());
  }
}

bool SimCluster::converged() {
  std::optional<size_t> leads = leader();
  if (!leads) return false;
  const raft::RaftNode& leading = nodes_[*leads]->raft();
  for (const auto& node : nodes_) {
    if (!node->running() || leading.configuration().find(node->id()) == nullptr) continue;
    if (node->raft().leader() != leading.id()) return false;
    if (node->node().applied().index != leading.log().last().index) return false;
  }
  return true;
}

bool SimCluster::states_agree() {
  std::map<uint64_t, std::map<uint32_t, test::MemoryData::Space>> by_index;
  for (const auto& node : nodes_) {
    if (!node->running()) continue;
    test::MemoryData data = node->store().data();
    auto [it, fresh] = by_index.emplace(data.applied.index, data.contents());
    if (!fresh && it->second != data.contents()) return false;
  }
  return true;
}

}  // namespace kvstore::sim
