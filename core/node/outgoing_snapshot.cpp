#include "node/outgoing_snapshot.hpp"

#include <utility>

#include <fmt/format.h>

namespace kvstore::node {

Result<wire::SnapshotHeader> outgoing_header(const kv::AppliedMark& mark, raft::Term term,
                                             raft::NodeId self, const wire::ClusterId& cluster) {
  if (mark.term > term.value) {
    return Status(Code::kNotLeader,
                  fmt::format("ordered in term {}, but the state is of term {} already", term.value,
                              mark.term));
  }
  Result<raft::Configuration> configuration = raft::Configuration::decode(mark.meta);
  if (!configuration) return configuration.status();
  wire::SnapshotHeader header;
  header.term = term.value;
  header.from = self.value;
  header.cluster = cluster;
  header.meta = {{{mark.term}, {mark.index}}, std::move(*configuration)};
  return header;
}

Result<wire::SnapshotFileHeader> file_header(const kv::AppliedMark& mark,
                                             const kv::Revisions& revisions, const Identity& self,
                                             uint64_t created_ms) {
  if (!self.joined() || mark.index == 0) {
    return Status(Code::kUnreachable, "this node has no state of a cluster yet");
  }
  Result<raft::Configuration> configuration = raft::Configuration::decode(mark.meta);
  if (!configuration) return configuration.status();
  Result<Membership> membership = Membership::decode(*configuration);
  if (!membership) return membership.status();
  wire::SnapshotFileHeader header;
  header.cluster = self.cluster;
  header.node = self.id.value;
  header.node_name = self.name;
  header.created_ms = created_ms;
  header.last = {{mark.term}, {mark.index}};
  header.revision = revisions.current;
  header.compacted_revision = revisions.compacted;
  for (const MemberInfo& member : membership->members()) {
    header.members.push_back(
        {member.id.value, member.name, member.address, configuration->is_voter(member.id)});
  }
  return header;
}

}  // namespace kvstore::node
