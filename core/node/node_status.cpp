#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "node/json_bytes.hpp"
#include "node/node.hpp"

namespace kvstore::node {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// How long a follower waits for the leader's figures before it answers with its own.
constexpr uint64_t kProgressTimeoutMs = 500;

const char* state_name(raft::PeerStatus::State state) {
  switch (state) {
    case raft::PeerStatus::State::kProbe:
      return "probe";
    case raft::PeerStatus::State::kReplicate:
      return "replicate";
    case raft::PeerStatus::State::kSnapshot:
      return "snapshot";
  }
  return "unknown";
}

std::string id_text(raft::NodeId id) {
  return fmt::format("{:016x}", id.value);
}

// "role=id/version" of a hello, as objects.
ordered_json plugins_json(const std::vector<std::string>& plugins) {
  ordered_json out = ordered_json::array();
  for (const std::string& plugin : plugins) {
    const size_t equal = plugin.find('='), slash = plugin.rfind('/');
    if (equal == std::string::npos || slash == std::string::npos || slash < equal) continue;
    out.push_back({{"role", plugin.substr(0, equal)},
                   {"id", plugin.substr(equal + 1, slash - equal - 1)},
                   {"version", plugin.substr(slash + 1)}});
  }
  return out;
}

void add_check(ordered_json* checks, const char* name, bool ok, const std::string& message) {
  (*checks)[name] = {{"ok", ok}, {"message", message}};
}

bool is_required(const ordered_json& check) {
  return check.value("required", true);
}

}  // namespace

void Node::control_health(ControlPtr control) {
  ordered_json checks;
  add_check(&checks, "storage", !failed(), failed() ? failure_.message() : "in order");
  add_check(&checks, "cluster", foreign_.empty(), foreign_.empty() ? "in order" : foreign_);
  bool member = raft_->configuration().find(identity_.id) != nullptr;
  std::string waiting = member               ? "a member, as far as this node knows"
                        : identity_.joined() ? "not a member of the cluster"
                                             : "waiting to be added to a cluster";
  // One that was removed while it was away does not know it but for the refusals.
  if (!peers_.refusal().empty() && !raft_->leader()) member = false;
  if (!peers_.refusal().empty()) waiting += ": " + peers_.refusal();
  add_check(&checks, "membership", member, member ? "member" : waiting);
  bool stalled = raft_->disk_stalled();
  add_check(&checks, "disk", !stalled, stalled ? "a log write makes no progress" : "in order");
  const bool reverted = raft_->reverted();
  add_check(&checks, "replication", !reverted,
            reverted
                ? "this node lost entries that it had acknowledged (an old copy of its disk?) and "
                  "is not counted: remove it, empty its data directory and add it again"
                : "in order");
  add_check(&checks, "space", !space_low_,
            space_low_ ? fmt::format("{} MiB are free, less than limits.disk_reserve_bytes",
                                     free_bytes_ >> 20)
                       : "in order");
  // Without space this node still serves reads and deletes: no reason to send clients elsewhere.
  checks["space"]["required"] = false;
  bool has_leader = static_cast<bool>(raft_->leader()) && (!leads() || raft_->leader_ready());
  const MemberInfo* leader = membership_.find(raft_->leader());
  std::string leader_text = leader != nullptr ? leader->name : "known";
  add_check(&checks, "leader", has_leader, has_leader ? leader_text : "no leader is known");
  add_check(&checks, "serving", !draining_, draining_ ? "shutting down" : "in order");

  bool ok = true;
  std::string reasons;
  for (const auto& [name, check] : checks.items()) {
    if (check["ok"].get<bool>() || !is_required(check)) continue;
    ok = false;
    reasons += (reasons.empty() ? "" : "; ") + name + ": " + check["message"].get<std::string>();
  }
  ordered_json out;
  out["status"] = !ok ? "unavailable" : space_low_ ? "degraded" : "ok";
  out["node_id"] = identity_.name;
  out["role"] = role_name(raft_->role());
  out["checks"] = std::move(checks);
  control->finish(ok ? Code::kOk : Code::kUnreachable, reasons, text_of(out));
}

// What only the leader knows of the members, by name.
std::string Node::progress_json() const {
  json out = json::object();
  uint64_t last = raft_->log().last().index.value;
  for (const raft::PeerStatus& peer : raft_->peers()) {
    const MemberInfo* member = membership_.find(peer.id);
    if (member == nullptr) continue;
    out[member->name] = {{"match_index", peer.match.value},
                         {"lag", last - std::min(last, peer.match.value)},
                         {"healthy", peer.recently_active && !peer.reverted},
                         {"state", peer.reverted ? "reverted" : state_name(peer.state)},
                         {"space_low", peer.space_low}};
  }
  const MemberInfo* self = membership_.find(identity_.id);
  if (self != nullptr) {
    uint64_t durable = raft_->durable_index().value;
    out[self->name] = {{"match_index", durable},
                       {"lag", last - std::min(last, durable)},
                       {"healthy", true},
                       {"state", "replicate"},
                       {"space_low", space_low_}};
  }
  return text_of(out);
}

void Node::control_status(ControlPtr control) {
  if (leads()) {
    std::string progress = progress_json();
    control->finish(Code::kOk, {}, status_json(&progress));
    return;
  }
  raft::NodeId leader = raft_->leader();
  const PeerInfo* peer = peers_.find(leader);
  if (!leader || peer == nullptr || !peer->connected) {
    control->finish(Code::kOk, {}, status_json(nullptr));
    return;
  }
  uint64_t now_ms = ports_.clock->now_ms();
  auto ask = std::make_unique<Control>();
  ask->verb = "cluster.progress";
  ask->deadline_ms = std::min(control->deadline_ms, now_ms + kProgressTimeoutMs);
  auto shared = std::make_shared<ControlPtr>(std::move(control));
  ask->done = Completion<ControlOutcome>([this, shared](ControlOutcome&& outcome) {
    bool answered = outcome.code == Code::kOk;
    (*shared)->finish(Code::kOk, {}, status_json(answered ? &outcome.json : nullptr));
  });
  forward(std::move(ask));
}

std::string Node::status_json(const std::string* leader_progress) const {
  json progress = json::object();
  if (leader_progress != nullptr) {
    progress = json::parse(*leader_progress, nullptr, /*allow_exceptions=*/false);
    if (!progress.is_object()) progress = json::object();
  }
  ordered_json out;
  out["cluster_name"] = options_.cluster_name;
  out["cluster_id"] = identity_.joined() ? cluster_id_text(identity_.cluster) : "";
  ordered_json node;
  node["node_id"] = identity_.name;
  node["id"] = id_text(identity_.id);
  node["role"] = role_name(raft_->role());
  node["address"] = identity_.raft_address;
  node["api_addresses"] = ordered_json::object();
  for (const auto& [api, address] : identity_.api_addresses) node["api_addresses"][api] = address;
  json info = json::parse(options_.node_info_json, nullptr, /*allow_exceptions=*/false);
  if (info.is_object()) node.update(info);
  out["node"] = std::move(node);

  raft::NodeId leader = raft_->leader();
  out["leader"] = nullptr;
  if (const MemberInfo* member = membership_.find(leader)) {
    const PeerInfo* peer = peers_.find(leader);
    const auto* apis = leader == identity_.id ? &identity_.api_addresses
                       : peer != nullptr      ? &peer->hello.api_addresses
                                              : nullptr;
    ordered_json l{
        {"node_id", member->name}, {"id", id_text(leader)}, {"address", member->address}};
    if (apis != nullptr && !apis->empty()) l["api_address"] = apis->front().second;
    out["leader"] = std::move(l);
  }
  out["term"] = raft_->term().value;
  out["commit_index"] = raft_->commit_index().value;
  out["applied_index"] = raft_->applied_index().value;
  out["first_index"] = raft_->log().first_index().value;
  out["last_index"] = raft_->log().last().index.value;
  out["revision"] = applied_.revision;
  ordered_json members = ordered_json::array();
  for (const MemberInfo& m : membership_.members()) {
    ordered_json entry{{"node_id", m.name}, {"id", id_text(m.id)}, {"address", m.address}};
    entry["role"] = raft_->configuration().is_voter(m.id) ? "voter" : "learner";
    entry["is_leader"] = m.id == leader;
    if (auto it = progress.find(m.name); it != progress.end()) entry.update(*it);
    const PeerInfo* peer = peers_.find(m.id);
    if (m.id == identity_.id) {
      entry["plugins"] = plugins_json(identity_.plugins);
    } else if (peer != nullptr && peer->hello.node == m.id.value) {
      entry["plugins"] = plugins_json(peer->hello.plugins);
    }
    members.push_back(std::move(entry));
  }
  for (const Admission& a : membership_.admissions()) {
    members.push_back(
        {{"node_id", a.name}, {"address", a.address}, {"role", "pending"}, {"is_leader", false}});
  }
  out["members"] = std::move(members);
  out["source"] = leader_progress != nullptr ? "leader" : "local";
  return text_of(out);
}

}  // namespace kvstore::node
