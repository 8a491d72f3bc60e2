// Nothing is said that a power cut could make untrue: the term of a message, a vote and what an
// acknowledgement claims are on the sender's disk when it leaves.
#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class DurableBeforeSent final : public Invariant {
 public:
  const char* name() const override { return "durable before sent"; }

  void on_send(Checker& checker, SimNode& node, const raft::Message& message) override {
    const raft::testing::DurableLog& disk = node.log_disk().durable();
    const bool pre = message.type == raft::MessageType::kPreVote ||
                     (message.type == raft::MessageType::kPreVoteReply && !message.reject);
    // A log that was reset to the state's mark is as good as a stored term: it stays with it.
    const raft::Term stored = std::max(disk.hard_state.term, disk.last().term);
    if (!pre && message.term > stored) fail(checker, node, message, "its term");
    const bool votes = (message.type == raft::MessageType::kVoteReply && !message.reject) ||
                       message.type == raft::MessageType::kVote;
    const raft::NodeId candidate =
        message.type == raft::MessageType::kVote ? node.id() : message.to;
    if (votes && disk.hard_state.term == message.term && disk.hard_state.voted_for != candidate)
      fail(checker, node, message, "its vote");
    if (message.type == raft::MessageType::kAppendReply && !message.reject &&
        message.match > disk.last().index) {
      fail(checker, node, message, "what it acknowledges");
    }
  }

 private:
  void fail(Checker& checker, SimNode& node, const raft::Message& message, const char* what) {
    checker.violated(
        name(), fmt::format("{} sends a message of type {} in term {} although {} is "
                            "not on its disk",
                            node.name(), static_cast<int>(message.type), message.term.value, what));
  }
};

}  // namespace

std::unique_ptr<Invariant> durable_before_sent() {
  return std::make_unique<DurableBeforeSent>();
}

}  // namespace kvstore::sim
