// What a leader says of the state that it sends as a snapshot.
#pragma once

#include "base/status.hpp"
#include "kv/store.hpp"
#include "raft/types.hpp"
#include "wire/hello.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::node {

// The header for a state with this mark, which the leader of `term` was told to send.
//
// kCorrupt: the configuration in the mark cannot be read.  kNotLeader: the state holds entries of a
// later term, so the order is an old one: sending takes its time, and leadership can end before.
Result<wire::SnapshotHeader> outgoing_header(const kv::AppliedMark& mark, raft::Term term,
                                             raft::NodeId self, const wire::ClusterId& cluster);

}  // namespace kvstore::node
