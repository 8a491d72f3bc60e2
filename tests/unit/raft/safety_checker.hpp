// Raft's safety properties, checked over everything all nodes of a cluster ever did (thesis,
// figure 3.2).
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>

#include "raft/raft_node.hpp"
#include "support/raft/test_disk.hpp"

namespace kvstore::raft::testing {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class SafetyChecker {
 public:
  // Before anything that a step put out is carried out.
  void check_output(const RaftNode& node, const DurableLog& durable, const Output& out);
  // After a step; `before`: its configuration before the step; `durable_logs`: all nodes' disks.
  void check_node(const RaftNode& node, const Configuration& before,
                  const std::map<NodeId, const DurableLog*>& durable_logs);
  // A node starts anew from its disk.
  void begin_life(const RaftNode& node);

  // State Machine Safety: `hash` is the state after applying the entry at `index`.
  void check_applied(NodeId node, LogId at, uint64_t hash);

  // A linearizable read must be served at this index or later when it is asked now.
  Index highest_commit() const { return highest_commit_; }
  void read_asked(uint64_t token) { reads_[token] = highest_commit_; }

 private:
  void check_message(const Message& message, const DurableLog& durable);
  void check_entries(NodeId node, const LogWrite& write);
  void check_leader(const RaftNode& node);
  void check_commit(const RaftNode& node, const Configuration& before, Index index,
                    const std::map<NodeId, const DurableLog*>& durable_logs);

  struct Committed {
    Term entry_term;
    Term commit_term;  // of the node that knew it first
  };
  struct Life {
    Term term;
    Index commit;
    Index given_out;
  };

  std::map<Term, NodeId> leaders_;
  std::map<std::pair<NodeId, Term>, NodeId> votes_;
  std::map<LogId, std::pair<uint32_t, LogId>> entries_;  // crc, previous entry
  std::map<uint64_t, Committed> committed_;
  std::map<uint64_t, uint64_t> hashes_;
  std::map<NodeId, Life> lives_;
  std::map<uint64_t, Index> reads_;
  Index highest_commit_;
};

}  // namespace kvstore::raft::testing
