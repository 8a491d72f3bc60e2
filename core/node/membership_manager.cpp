#include "node/membership_manager.hpp"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.hpp"

namespace kvstore::node {

MembershipManager::~MembershipManager() {
  fail_all(Code::kCancelled, "the node stops");
}

void MembershipManager::enqueue(Edit edit, uint64_t deadline_ms, Done done) {
  if (queue_.size() >= kQueueMax) {
    done(Status(Code::kBusy, "too many membership changes are waiting"));
    return;
  }
  queue_.push_back({std::move(edit), deadline_ms, std::move(done)});
}

void MembershipManager::end_late(uint64_t now_ms) {
  std::vector<Change> late;
  std::erase_if(queue_, [&](Change& change) {
    if (change.deadline_ms > now_ms) return false;
    late.push_back(std::move(change));
    return true;
  });
  for (Change& change : late) {
    change.done(Status(Code::kTimeout, "other membership changes took the time of this one"));
  }
}

void MembershipManager::finish_current(const Status& status) {
  active_ = false;
  appended_ = false;
  Change change = std::exchange(current_, {});
  change.done(status);
}

void MembershipManager::on_proposed(const raft::ProposeResult& result) {
  KVS_ASSERT(active_);
  if (result.code == Code::kOk) {
    appended_ = true;
    current_id_ = result.id;
    return;
  }
  if (result.code == Code::kBusy) {  // another change slipped in (a promotion): later again
    active_ = false;
    queue_.push_front(std::exchange(current_, {}));
    return;
  }
  finish_current(Status(result.code, "the membership change was refused"));
}

void MembershipManager::pump(const raft::RaftNode& raft, const Membership& membership,
                             uint64_t now_ms, const Step& step) {
  if (active_ && appended_) {
    if (raft.commit_index() >= current_id_.index) {
      auto term = raft.log().term_at(current_id_.index);
      bool ours = !term || *term == current_id_.term;
      finish_current(ours ? Status::ok()
                          : Status(Code::kNotLeader, "leadership was lost before the change"));
    } else if (raft.role() != raft::Role::kLeader) {
      finish_current(Status(Code::kIndeterminate,
                            "leadership was lost; the membership change may still take effect"));
    }
  }
  if (raft.role() != raft::Role::kLeader) {
    for (Change& change : std::exchange(queue_, {})) {
      change.done(Status(Code::kNotLeader, "this node is not the leader"));
    }
    return;
  }
  end_late(now_ms);
  while (!active_ && !queue_.empty() && raft.leader_ready() &&
         !raft.configuration_change_pending() && !raft.transferring()) {
    Change change = std::move(queue_.front());
    queue_.pop_front();
    Membership edited = membership;
    raft::Configuration configuration = raft.configuration();
    Status status = change.edit(&edited, &configuration);
    if (status) configuration.context = edited.encode_context();
    if (!status || configuration == raft.configuration()) {
      change.done(status);
      continue;
    }
    active_ = true;
    current_ = std::move(change);
    step(raft::ProposeConfiguration{kTokenBit, std::move(configuration)});
    break;
  }
}

std::string role_json(const raft::RaftNode& raft, const Membership& membership,
                      const std::string& name) {
  nlohmann::ordered_json out;
  out["node_id"] = name;
  if (const MemberInfo* member = membership.find_name(name)) {
    out["address"] = member->address;
    out["id"] = fmt::format("{:016x}", member->id.value);
    out["state"] = raft.configuration().is_voter(member->id) ? "voter" : "learner";
  } else if (const Admission* admission = membership.find_admission(name)) {
    out["address"] = admission->address;
    out["state"] = "pending";
  }
  return out.dump();
}

void MembershipManager::check_role_waits(const raft::RaftNode& raft, const Membership& membership,
                                         uint64_t now_ms) {
  std::vector<RoleWait> waits = std::exchange(role_waits_, {});
  for (RoleWait& wait : waits) {
    const MemberInfo* member = membership.find_name(wait.name);
    bool settled = member != nullptr && !raft.configuration_change_pending() &&
                   (wait.learner_is_enough || raft.configuration().is_voter(member->id));
    bool gone = member == nullptr && membership.find_admission(wait.name) == nullptr;
    if (gone) {
      wait.control->finish(Code::kNotFound, "'" + wait.name + "' was removed meanwhile");
    } else if (settled || now_ms >= wait.deadline_ms || raft.role() != raft::Role::kLeader) {
      wait.control->finish(Code::kOk, {}, role_json(raft, membership, wait.name));
    } else {
      role_waits_.push_back(std::move(wait));
    }
  }
}

void MembershipManager::fail_all(Code code, const std::string& message) {
  if (active_) finish_current(Status(Code::kIndeterminate, message));
  for (Change& change : std::exchange(queue_, {})) change.done(Status(code, message));
  for (RoleWait& wait : std::exchange(role_waits_, {})) {
    wait.control->finish(Code::kIndeterminate, message);
  }
}

}  // namespace kvstore::node
