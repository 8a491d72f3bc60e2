// What a message from the network says is checked before it is believed.
#include <algorithm>

#include "raft/detail/impl.hpp"

namespace kvstore::raft {

namespace {

// An index near 2^64 would wrap in arithmetic, and no log gets there.
constexpr uint64_t kIndexMax = uint64_t{1} << 62;

const char* flaw_of_entries(const Message& message) {
  LogId previous = message.log;
  for (const Entry& entry : message.entries) {
    if (entry.id.index != previous.index + 1) return "its entries are not contiguous";
    if (entry.id.term < previous.term) return "its entries' terms decrease";
    if (entry.kind > EntryKind::kConfiguration) return "an entry is of an unknown kind";
    previous = entry.id;
  }
  if (previous.term > message.term) return "its entries are newer than its term";
  return nullptr;
}

}  // namespace

const char* RaftNode::Impl::flaw_of(const Message& message) const {
  if (message.to != options_.id) return "it is addressed to another node";
  if (!message.from || message.from == options_.id) return "its sender is impossible";
  if (message.type < MessageType::kPreVote || message.type > MessageType::kTimeoutNow)
    return "its type is unknown";
  // Before the first election there is only a pre-vote to refuse.
  if (message.term.value == 0 && message.type != MessageType::kPreVoteReply)
    return "nobody leads or campaigns in term 0";
  if (message.term > term_ && message.term.value - term_.value > kTermJumpMax)
    return "its term is too far ahead";
  const Index highest = std::max(
      {message.log.index, message.commit, message.match, message.hint.index, message.rejected});
  if (highest.value > kIndexMax) return "an index is impossible";
  if ((message.log.index.value == 0) != (message.log.term.value == 0))
    return "its log position is impossible";
  if (message.type == MessageType::kAppend) return flaw_of_entries(message);
  if (!message.entries.empty()) return "only an append carries entries";
  return nullptr;
}

}  // namespace kvstore::raft
