// Readable, stable text for the raft core's types: golden files and failure messages are made of
// it.
#pragma once

#include <string>

#include "raft/raft_node.hpp"

namespace kvstore::raft::testing {

std::string describe(LogId id);  // "term/index"
std::string describe(const Entry& entry);
std::string describe(const std::vector<Entry>& entries);
std::string describe(const Configuration& configuration);  // "1 2 3L 4L+" (learner, auto-promoted)
std::string describe(const Message& message);
std::string describe(const LogWrite& write);
std::string describe(const PeerStatus& peer);
std::string describe(SnapshotDecision decision);

}  // namespace kvstore::raft::testing
