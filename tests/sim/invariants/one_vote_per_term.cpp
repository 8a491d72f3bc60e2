// A node votes for one candidate in a term, whatever happens to it in between.  A candidacy is a
// vote for itself.
#include <map>

#include <fmt/format.h>

#include "sim/invariants.hpp"

namespace kvstore::sim {
namespace {

class OneVotePerTerm final : public Invariant {
 public:
  const char* name() const override { return "one vote per term"; }

  void on_send(Checker& checker, SimNode& node, const raft::Message& message) override {
    raft::NodeId candidate;
    if (message.type == raft::MessageType::kVoteReply && !message.reject) candidate = message.to;
    if (message.type == raft::MessageType::kVote) candidate = node.id();
    if (!candidate) return;
    auto [it, fresh] = votes_.emplace(std::pair(node.id(), message.term), candidate);
    if (it->second == candidate) return;
    checker.violated(
        name(), fmt::format("{} votes for {:x} in term {} after it voted for {:x}", node.name(),
                            candidate.value, message.term.value, it->second.value));
  }

 private:
  std::map<std::pair<raft::NodeId, raft::Term>, raft::NodeId> votes_;
};

}  // namespace

std::unique_ptr<Invariant> one_vote_per_term() {
  return std::make_unique<OneVotePerTerm>();
}

}  // namespace kvstore::sim
