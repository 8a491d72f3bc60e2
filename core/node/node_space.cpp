// The disk reserve: what grows is refused before it reaches the log while a member's disk is nearly
// full; deletes, reads, membership and elections go on.
#include <algorithm>

#include <fmt/format.h>

#include "base/log.hpp"
#include "kv/command_codec.hpp"
#include "node/node.hpp"

namespace kvstore::node {
namespace {

bool has_put(const std::vector<kv::Op>& ops) {
  return std::any_of(ops.begin(), ops.end(),
                     [](const kv::Op& op) { return op.kind == kv::Op::Kind::kPut; });
}

// Whether the command may make the state larger.  What does not decode is for others to refuse.
bool grows(Bytes encoded) {
  Result<kv::DecodedCommand> command = kv::decode_command(encoded);
  if (!command) return false;
  if (const auto* txn = std::get_if<kv::Txn>(&command->command)) {
    return has_put(txn->then_ops) || has_put(txn->else_ops);
  }
  return std::holds_alternative<kv::UploadPart>(command->command) ||
         std::holds_alternative<kv::LeaseGrant>(command->command);
}

}  // namespace

void Node::on_disk_space(uint64_t free_bytes) {
  if (failed()) return;
  free_bytes_ = free_bytes;
  const uint64_t reserve = options_.disk_reserve_bytes;
  // Free again only a little above the reserve, or the answer would flicker at its edge.
  const bool low = free_bytes < (space_low_ ? reserve + reserve / 8 : reserve);
  if (low == space_low_) return;
  space_low_ = low;
  if (low) {
    KVS_LOG(kError, "node", "{} MiB are free on the disk, less than disk_reserve_bytes ({} MiB)",
            free_bytes >> 20, reserve >> 20);
  } else {
    KVS_LOG(kInfo, "node", "the disk has space again: {} MiB", free_bytes >> 20);
  }
  step(raft::DiskSpace{low});
}

// The names of the members whose disk is nearly full, as far as the leader hears of them; empty:
// none.
std::string Node::members_low_on_space() const {
  std::string names = space_low_ ? identity_.name : "";
  for (const raft::PeerStatus& peer : raft_->peers()) {
    if (!peer.space_low || !peer.recently_active) continue;
    const MemberInfo* member = membership_.find(peer.id);
    if (member != nullptr) names += (names.empty() ? "" : ", ") + member->name;
  }
  return names;
}

void Node::refuse_growing(std::vector<ProposalPtr>* proposals) {
  if (!leads() || !raft_->any_space_low()) return;
  const std::string low = members_low_on_space();
  if (low.empty()) return;
  std::erase_if(*proposals, [&](ProposalPtr& proposal) {
    if (!grows(proposal->command)) return false;
    proposal->fail(Code::kNoSpace,
                   fmt::format("the disk of {} is nearly full (limits.disk_reserve_bytes): only "
                               "deletes and reads are served",
                               low),
                   Committed::kNo);
    return true;
  });
}

}  // namespace kvstore::node
