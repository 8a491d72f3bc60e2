// What a leader says of the state that it sends as a snapshot, and any node of the one that it
// gives away as a file.
#pragma once

#include "base/status.hpp"
#include "kv/reader.hpp"
#include "kv/store.hpp"
#include "node/identity.hpp"
#include "raft/types.hpp"
#include "wire/hello.hpp"
#include "wire/snapshot_file.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::node {

// The header for a state with this mark, which the leader of `term` was told to send.
//
// kCorrupt: the configuration in the mark cannot be read.  kNotLeader: the state holds entries of a
// later term, so the order is an old one: sending takes its time, and leadership can end before.
Result<wire::SnapshotHeader> outgoing_header(const kv::AppliedMark& mark, raft::Term term,
                                             raft::NodeId self, const wire::ClusterId& cluster);

// The same for a file, taken at `created_ms` since 1970 by the node `self` of a cluster.
//
// kUnreachable: nothing is applied yet.  kCorrupt: the configuration in the mark cannot be read.
Result<wire::SnapshotFileHeader> file_header(const kv::AppliedMark& mark,
                                             const kv::Revisions& revisions, const Identity& self,
                                             uint64_t created_ms);

}  // namespace kvstore::node
