#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "node/json_fields.hpp"
#include "node/node.hpp"

namespace kvstore::node {
namespace {

using nlohmann::json;

std::string code_json(const std::string& code) {
  return json{{"code", code}}.dump();
}

void invalid(ControlPtr control, const std::string& message) {
  control->finish(Code::kInvalid, message, code_json("invalid_argument"));
}

bool is_leader_verb(const std::string& verb) {
  return verb == "cluster.add" || verb == "cluster.remove" || verb == "cluster.transfer" ||
         verb == "cluster.progress" || verb == "admin.hash" || verb == "admin.compact" ||
         verb.starts_with("lease.");
}

// The code of a failed membership edit, unless the edit named one.
const char* edit_code(Code code) {
  switch (code) {
    case Code::kNotFound:
      return "not_a_member";
    case Code::kInvalid:
      return "invalid_argument";
    case Code::kConflict:
      return "address_taken";
    case Code::kBusy:
      return "change_in_progress";
    case Code::kNotLeader:
      return "no_leader";
    default:
      return nullptr;
  }
}

std::string removed_json(const std::string& name) {
  return json{{"node_id", name}, {"removed", true}}.dump();
}

void finish_failed(Control* control, const Status& status, const std::string& code) {
  const char* fallback = edit_code(status.code());
  std::string name = !code.empty() ? code : fallback != nullptr ? fallback : "";
  control->finish(status.code(), status.message(), name.empty() ? "" : code_json(name));
}

}  // namespace

void Node::control(ControlPtr control) {
  if (control->verb == "health") {
    control_health(std::move(control));
    return;
  }
  if (failed()) {
    control->finish(Code::kClosed, refusal().message());
    return;
  }
  if (control->verb == "cluster.status") {
    control_status(std::move(control));
    return;
  }
  if (control->verb == "admin.snapshot") {
    control_snapshot(std::move(control));
    return;
  }
  if (!is_leader_verb(control->verb)) {
    control->finish(Code::kUnsupported, "unknown verb '" + control->verb + "'");
    return;
  }
  if (Status refused = refusal(); !refused) {
    control->finish(refused.code(), refused.message());
  } else if (leads()) {
    execute(std::move(control));
  } else {
    forward(std::move(control));
  }
}

// Serves a verb that needs the leader, which this node is.
void Node::execute(ControlPtr control) {
  if (control->verb == "cluster.add") {
    control_add(std::move(control));
  } else if (control->verb == "cluster.remove") {
    control_remove(std::move(control));
  } else if (control->verb == "cluster.transfer") {
    control_transfer(std::move(control));
  } else if (control->verb == "cluster.progress") {
    control->finish(Code::kOk, {}, progress_json());
  } else if (control->verb == "admin.hash") {
    control_hash(std::move(control));
  } else if (control->verb == "admin.compact") {
    control_compact(std::move(control));
  } else if (control->verb.starts_with("lease.")) {
    execute_lease(std::move(control));
  } else {
    control->finish(Code::kUnsupported, "unknown verb '" + control->verb + "'");
  }
}

void Node::control_add(ControlPtr control) {
  JsonFields args(control->json);
  Admission admission;
  admission.name = args.string("node_id");
  admission.address = args.string("address");
  admission.learner = args.boolean("learner", false);
  uint64_t timeout_ms = args.number("timeout_ms", 10'000);
  if (!args.error().empty()) {
    invalid(std::move(control), args.error());
    return;
  }
  MembershipManager::RoleWait wait;
  wait.name = admission.name;
  wait.learner_is_enough = admission.learner;
  // A little before the caller's own deadline, so that the answer says how far it got.
  uint64_t now_ms = ports_.clock->now_ms();
  uint64_t left_ms = control->deadline_ms > now_ms ? control->deadline_ms - now_ms : 0;
  wait.deadline_ms = now_ms + std::min(timeout_ms, left_ms - left_ms / 10);
  uint64_t deadline_ms = control->deadline_ms;
  auto shared = std::make_shared<ControlPtr>(std::move(control));
  manager_.enqueue(
      [admission](Membership* membership, raft::Configuration* configuration) {
        const MemberInfo* member = membership->find_name(admission.name);
        if (member == nullptr) return membership->admit(admission);
        const raft::Member* role = configuration->find(member->id);
        if (!role->voter && !admission.learner) {
          configuration->set({.id = member->id, .voter = false, .auto_promote = true});
        }
        return member->address == admission.address
                   ? Status::ok()
                   : membership->move(member->id, admission.address);
      },
      deadline_ms,
      [this, shared, wait = std::make_shared<MembershipManager::RoleWait>(std::move(wait))](
          const Status& status) {
        if (!status) {
          finish_failed(shared->get(), status, {});
          return;
        }
        dialing_stale_ = true;
        wait->control = std::move(*shared);
        manager_.wait_for_role(std::move(*wait));
      });
}

// Whether the cluster keeps a quorum of reachable voters without this one.
Status Node::check_removal(const std::string& name, bool force, std::string* code) const {
  const MemberInfo* member = membership_.find_name(name);
  if (member == nullptr) {
    if (membership_.find_admission(name) != nullptr) return Status::ok();
    return {Code::kNotFound, "'" + name + "' is not a member"};
  }
  const raft::Configuration& configuration = raft_->configuration();
  if (!configuration.is_voter(member->id)) return Status::ok();
  *code = "quorum_loss";
  if (configuration.voter_count() == 1) {
    return {Code::kConflict, "'" + name + "' is the last voter and cannot be removed"};
  }
  if (force) return Status::ok();
  size_t healthy = member->id == identity_.id ? 0 : 1;
  for (const raft::PeerStatus& peer : raft_->peers()) {
    bool counts = configuration.is_voter(peer.id) && peer.id != member->id;
    if (counts && peer.recently_active) ++healthy;
  }
  size_t quorum_after = (configuration.voter_count() - 1) / 2 + 1;
  if (healthy < quorum_after) {
    return {
        Code::kConflict,
        fmt::format("without '{}' only {} of {} voters would be reachable, fewer than the quorum "
                    "of {}; force=true removes it all the same",
                    name, healthy, configuration.voter_count() - 1, quorum_after)};
  }
  code->clear();
  return Status::ok();
}

void Node::control_remove(ControlPtr control) {
  JsonFields args(control->json);
  std::string name = args.string("node_id");
  bool force = args.boolean("force", false);
  if (!args.error().empty()) {
    invalid(std::move(control), args.error());
    return;
  }
  auto code = std::make_shared<std::string>();
  uint64_t deadline_ms = control->deadline_ms;
  auto shared = std::make_shared<ControlPtr>(std::move(control));
  manager_.enqueue(
      [this, name, force, code](Membership* membership, raft::Configuration* configuration) {
        if (Status allowed = check_removal(name, force, code.get()); !allowed) return allowed;
        code->clear();
        if (const MemberInfo* member = membership->find_name(name)) {
          raft::NodeId id = member->id;
          configuration->remove(id);
          membership->remove(id);
        }
        membership->remove_admission(name);
        return Status::ok();
      },
      deadline_ms,
      [shared, name, code](const Status& status) {
        if (!status) {
          finish_failed(shared->get(), status, *code);
          return;
        }
        (*shared)->finish(Code::kOk, {}, removed_json(name));
      });
}

// A leader that removes itself is cut off as soon as the others know, often before its answer is
// read; but then the outcome is known here.
void Node::settle_removals() {
  if (forwards_.size() == 0 || raft_->configuration_change_pending()) return;
  std::vector<ControlPtr> done =
      forwards_.take_settled([this](raft::NodeId sent_to, const Control& control) {
        if (control.verb != "cluster.remove" || membership_.find(sent_to) != nullptr) return false;
        const std::string name = JsonFields(control.json).string("node_id");
        return membership_.find_name(name) == nullptr && membership_.is_removed(sent_to);
      });
  for (ControlPtr& control : done) {
    const std::string name = JsonFields(control->json).string("node_id");
    control->finish(Code::kOk, {}, removed_json(name));
  }
}

void Node::control_transfer(ControlPtr control) {
  JsonFields args(control->json);
  std::string name = args.string("node_id");
  if (!args.error().empty()) {
    invalid(std::move(control), args.error());
    return;
  }
  const MemberInfo* target = membership_.find_name(name);
  if (target == nullptr || !raft_->configuration().is_voter(target->id)) {
    control->finish(Code::kNotFound, "'" + name + "' is not a voter", code_json("not_a_member"));
    return;
  }
  if (target->id == identity_.id) {
    control->finish(Code::kOk, {}, json{{"node_id", name}}.dump());
    return;
  }
  if (transfer_.control) {
    control->finish(Code::kBusy, "another transfer of leadership is under way",
                    code_json("change_in_progress"));
    return;
  }
  transfer_ = {std::move(control), target->id, name};
  step(raft::TransferLeadership{target->id});
}

// Answers the caller of a transfer once it is known who leads.
void Node::check_transfer() {
  if (!transfer_.control) return;
  Control& control = *transfer_.control;
  if (raft_->leader() == transfer_.target) {
    control.finish(Code::kOk, {}, json{{"node_id", transfer_.name}}.dump());
  } else if (leads() && !raft_->transferring()) {
    control.finish(Code::kTimeout, "'" + transfer_.name + "' did not take leadership over");
  } else if (!leads() && raft_->leader()) {
    control.finish(Code::kConflict, "another node became leader");
  } else if (ports_.clock->now_ms() >= control.deadline_ms) {
    control.finish(Code::kIndeterminate, "it is not known yet who leads");
  } else {
    return;
  }
  transfer_ = {};
}

}  // namespace kvstore::node
