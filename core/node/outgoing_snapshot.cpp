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

}  // namespace kvstore::node
