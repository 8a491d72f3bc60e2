// The receiver's side of AppendEntries (Figure 2) and of heartbeats.
#include <algorithm>

#include "base/mutation.hpp"
#include "raft/detail/impl.hpp"

namespace kvstore::raft {

void RaftNode::Impl::handle_append(Message& message) {
  round_seen_ = std::max(round_seen_, message.read_round);
  // While a snapshot replaces the state and the log, nothing is appended to either.
  if (installing_) return echo_round(message.read_round);
  if (!matches_previous(message)) return reject_append(message);
  const Index end = message.log.index + message.entries.size();
  const Index leader_commit = message.commit;
  if (!take_entries(message)) return;
  matched_ = std::max(matched_, end);
  ack_wanted_ = std::max(ack_wanted_, end);
  // Receiver 5: never beyond what this message vouches for.
  const Index vouched = KVS_MUTATED(kCommitBeyondMatch) ? log_.last().index : end;
  advance_commit(std::max(commit_, std::min(leader_commit, vouched)));
  if (writes_.durable() >= end || KVS_MUTATED(kAckBeforeDurable)) return send_ack();
  // The acknowledgement waits for the disk; a read that asks for leadership need not.
  if (message.read_round > round_echoed_) echo_round(message.read_round);
}

bool RaftNode::Impl::matches_previous(const Message& message) {
  // What was compacted is committed, so the leader has the same (B3).
  if (message.log.index < log_.base().index) return true;
  if (KVS_MUTATED(kSkipLogCheck) && message.log.index <= log_.last().index) return true;
  return log_.contains(message.log);
}

bool RaftNode::Impl::take_entries(Message& message) {
  std::vector<Entry>& entries = message.entries;
  size_t fresh = 0;
  std::optional<Index> conflict;
  for (; fresh < entries.size(); ++fresh) {
    const LogId& id = entries[fresh].id;
    if (id.index > log_.last().index) break;
    if (id.index < log_.base().index || log_.term_at(id.index) == id.term) continue;
    conflict = id.index;  // only a real conflict removes anything (receiver 3)
    break;
  }
  // A committed entry has no successor, nor does one that this term's leader sent before.
  if (conflict && *conflict <= matched_) {
    KVS_LOG(kError, "raft",
            "node {:x}: {:x} sent entry {} of term {} in place of another one that stands",
            options_.id.value, message.from.value, conflict->value, entries[fresh].id.term.value);
    return false;
  }
  const Index end = message.log.index + entries.size();
  if (KVS_MUTATED(kTruncateOnShortAppend) && !conflict && end < log_.last().index && end >= commit_)
    conflict = end + 1;
  std::vector<std::pair<Index, Configuration>> configurations;
  for (size_t i = fresh; i < entries.size(); ++i) {
    if (entries[i].kind != EntryKind::kConfiguration) continue;
    auto decoded = Configuration::decode(entries[i].data.view());
    if (!decoded) {
      KVS_LOG(kError, "raft", "node {:x}: ignored an append of {:x}: entry {}: {}",
              options_.id.value, message.from.value, entries[i].id.index.value,
              decoded.status().message());
      return false;
    }
    configurations.emplace_back(entries[i].id.index, std::move(decoded.value()));
  }
  if (conflict) truncate_log(*conflict);
  for (size_t i = fresh; i < entries.size(); ++i) append_entry(std::move(entries[i]));
  for (auto& [index, configuration] : configurations)
    adopt_configuration(index, std::move(configuration));
  return true;
}

void RaftNode::Impl::reject_append(const Message& message) {
  if (message.log.index <= commit_)
    KVS_LOG(kError, "raft", "node {:x}: {:x} claims term {} at committed index {}",
            options_.id.value, message.from.value, message.log.term.value, message.log.index.value);
  Message reply = make(MessageType::kAppendReply, message.from);
  reply.reject = true;
  reply.rejected = message.log.index;
  // Entries of newer terms than the leader's at this place cannot be the leader's either.
  reply.hint = log_.last_at_or_below(message.log.index, message.log.term);
  reply.read_round = message.read_round;
  round_echoed_ = std::max(round_echoed_, message.read_round);
  send(std::move(reply));
}

void RaftNode::Impl::send_ack() {
  Message reply = make(MessageType::kAppendReply, leader_);
  reply.match = KVS_MUTATED(kAckBeforeDurable) ? matched_ : std::min(matched_, writes_.durable());
  reply.read_round = round_seen_;
  acked_ = std::max(acked_, reply.match);
  round_echoed_ = std::max(round_echoed_, round_seen_);
  send(std::move(reply));
}

// One cumulative acknowledgement for all appends whose entries became durable together.
void RaftNode::Impl::send_ack_if_durable() {
  if (!leader_ || installing_) return;
  if (acked_ < ack_wanted_ && std::min(matched_, writes_.durable()) > acked_) send_ack();
}

void RaftNode::Impl::echo_round(uint64_t round) {
  Message reply = make(MessageType::kHeartbeatReply, leader_);
  reply.read_round = round;
  reply.match = std::min(matched_, writes_.durable());
  round_echoed_ = std::max(round_echoed_, round);
  send(std::move(reply));
}

void RaftNode::Impl::handle_heartbeat(const Message& message) {
  round_seen_ = std::max(round_seen_, message.read_round);
  // What was acknowledged and forgotten in a restart is not taken for matched on the leader's word.
  if (!installing_) advance_commit(std::max(commit_, std::min(message.commit, matched_)));
  if (message.read_round == 0) return;
  reverted_ = message.reverted;
  echo_round(message.read_round);
}

}  // namespace kvstore::raft
