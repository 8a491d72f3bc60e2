#include "raft/raft_node.hpp"

#include <algorithm>
#include <cstdio>

#include "raft/detail/impl.hpp"

namespace kvstore::raft {

const char* role_name(Role role) {
  switch (role) {
    case Role::kFollower:
      return "follower";
    case Role::kPreCandidate:
      return "pre-candidate";
    case Role::kCandidate:
      return "candidate";
    case Role::kLeader:
      return "leader";
  }
  return "unknown";
}

void RaftNode::Impl::print_context(char* buffer, unsigned long bytes) const {
  std::snprintf(buffer, bytes, "(node %llx, %s in term %llu, log %llu..%llu, commit %llu)",
                static_cast<unsigned long long>(options_.id.value), role_name(role_),
                static_cast<unsigned long long>(term_.value),
                static_cast<unsigned long long>(log_.first_index().value),
                static_cast<unsigned long long>(log_.last().index.value),
                static_cast<unsigned long long>(commit_.value));
}

void RaftNode::Impl::step(Event event, Output* out) {
  const AssertContext outer =
      set_assert_context({[](const void* self, char* buffer, unsigned long bytes) {
                            static_cast<const Impl*>(self)->print_context(buffer, bytes);
                          },
                          this});
  out_ = out;
  const Role role = role_;
  const Term term = term_;
  const NodeId leader = leader_;
  std::visit([this](auto& e) { handle(e); }, event);
  finish_step();
  if (role_ != role || term_ != term || leader_ != leader) out->role_changed = true;
  out_ = nullptr;
  set_assert_context(outer);
}

void RaftNode::Impl::finish_step() {
  if (role_ == Role::kLeader) {
    promote_learners();
    run_reads();
    send_commit_notices();
    drop_removed_peers();
    step_down_if_removed();
  }
  give_out_committed();
  KVS_ASSERT(applied_ <= given_out_ && given_out_ <= commit_ && commit_ <= log_.last().index);
  KVS_ASSERT(writes_.durable() <= log_.last().index && log_.base().index <= applied_);
  log_.trim_cache(std::min(applied_, writes_.durable()));
  flush_write();
}

RaftNode::RaftNode(const Options& options, Restored restored)
    : impl_(std::make_unique<Impl>(options, std::move(restored))) {}
RaftNode::~RaftNode() = default;
RaftNode::RaftNode(RaftNode&&) noexcept = default;

void RaftNode::step(Event event, Output* out) {
  impl_->step(std::move(event), out);
}

NodeId RaftNode::id() const {
  return impl_->options_.id;
}
Role RaftNode::role() const {
  return impl_->role_;
}
Term RaftNode::term() const {
  return impl_->term_;
}
NodeId RaftNode::leader() const {
  return impl_->leader_;
}
Index RaftNode::commit_index() const {
  return impl_->commit_;
}
Index RaftNode::applied_index() const {
  return impl_->applied_;
}
Index RaftNode::durable_index() const {
  return impl_->writes_.durable();
}
const RaftLog& RaftNode::log() const {
  return impl_->log_;
}
const Configuration& RaftNode::configuration() const {
  return impl_->configuration();
}
bool RaftNode::configuration_change_pending() const {
  return impl_->change_pending();
}
bool RaftNode::leader_ready() const {
  return impl_->is_ready();
}
uint64_t RaftNode::read_round() const {
  return impl_->role_ == Role::kLeader ? impl_->read_round_ : 0;
}
uint64_t RaftNode::confirmed_round() const {
  return impl_->role_ == Role::kLeader ? impl_->confirmed_round() : 0;
}
LeaderLease RaftNode::lease() const {
  return impl_->lease();
}
bool RaftNode::transferring() const {
  return static_cast<bool>(impl_->transfer_target_);
}
bool RaftNode::reverted() const {
  return impl_->reverted_;
}

bool RaftNode::disk_stalled() const {
  return impl_->disk_stalled();
}

const Configuration& RaftNode::configuration_at(Index index) const {
  const auto& all = impl_->configurations_;
  KVS_ASSERT(index >= all.front().first && index <= impl_->applied_);
  auto after = std::upper_bound(all.begin(), all.end(), index,
                                [](Index wanted, const auto& c) { return wanted < c.first; });
  return std::prev(after)->second;
}

bool RaftNode::any_space_low() const {
  return impl_->space_low_ ||
         std::any_of(impl_->peers_.begin(), impl_->peers_.end(), [this](const Progress& peer) {
           return peer.space_low && !peer.removed_at && impl_->is_active(peer);
         });
}

std::vector<PeerStatus> RaftNode::peers() const {
  std::vector<PeerStatus> result;
  for (const Progress& peer : impl_->peers_) {
    if (peer.removed_at) continue;
    result.push_back({peer.id, peer.state, peer.match, peer.next, impl_->is_active(peer),
                      peer.space_low, peer.reverted});
  }
  return result;
}

}  // namespace kvstore::raft
