#include "safety_checker.hpp"

#include <fmt/format.h>

#include "support/raft/describe.hpp"

namespace kvstore::raft::testing {

namespace {

template <typename... Arguments>
void require(bool holds, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (!holds) throw Violation(fmt::format(format, std::forward<Arguments>(arguments)...));
}

bool holds(const DurableLog& log, LogId id) {
  return id.index <= log.base.index || log.contains(id);
}

}  // namespace

void SafetyChecker::begin_life(const RaftNode& node) {
  lives_[node.id()] = {node.term(), node.commit_index(), node.applied_index()};
}

// What is said must be durable before (Figure 2: "updated on stable storage before responding").
void SafetyChecker::check_message(const Message& m, const DurableLog& durable) {
  if (m.type == MessageType::kPreVote || m.type == MessageType::kPreVoteReply) return;
  require(durable.hard_state.term >= m.term, "term told before it was durable: {}", describe(m));
  if (m.type == MessageType::kVoteReply && !m.reject) {
    auto [vote, first] = votes_.insert({{m.from, m.term}, m.to});
    require(vote->second == m.to, "second vote in a term: {}", describe(m));
    require(durable.hard_state.term > m.term || durable.hard_state.voted_for == m.to,
            "vote told before it was durable: {}", describe(m));
  }
  if (m.type == MessageType::kVote)
    require(durable.last() >= m.log, "claims a log that is not durable: {}", describe(m));
  if ((m.type == MessageType::kAppendReply && !m.reject) ||
      (m.type == MessageType::kHeartbeatReply && !m.reject))
    require(durable.last().index >= m.match, "ack before fsync: {} durable {}", describe(m),
            describe(durable.last()));
  for (size_t i = 0; i < m.entries.size(); ++i)
    require(m.entries[i].id.index == m.log.index + i + 1 && entry_intact(m.entries[i]),
            "malformed append: {}", describe(m));
}

// Log Matching: an entry's identity fixes its content and its predecessor, hence all before it.
void SafetyChecker::check_entries(NodeId node, const LogWrite& write) {
  for (const Entry& entry : write.entries) {
    auto known = entries_.find(entry.id);
    require(known == entries_.end() || known->second.first == entry.crc,
            "log matching: node {} holds another entry {}", node.value, describe(entry));
  }
}

void SafetyChecker::check_output(const RaftNode& node, const DurableLog& durable,
                                 const Output& out) {
  for (const Message& message : out.messages) check_message(message, durable);
  for (const LogWrite& write : out.log_writes) {
    check_entries(node.id(), write);
    for (const Entry& entry : write.entries) {
      const Index before = entry.id.index - 1;
      const std::optional<Term> term = node.log().term_at(before);
      if (!term) continue;  // compacted or truncated within the step
      const LogId previous{*term, before};
      auto [known, first] = entries_.insert({entry.id, {entry.crc, previous}});
      require(known->second.second == previous, "log matching: {} follows {} and {}",
              describe(entry), describe(previous), describe(known->second.second));
    }
  }
  Life& life = lives_[node.id()];
  for (const Entry& entry : out.committed) {
    require(entry.id.index == life.given_out + 1, "node {} gave out {} after {}", node.id().value,
            describe(entry), life.given_out.value);
    life.given_out = entry.id.index;
  }
  for (const ReadResult& read : out.reads) {
    auto asked = reads_.find(read.token);
    require(asked != reads_.end(), "read {} answered twice", read.token);
    require(read.code != Code::kOk || read.index >= asked->second,
            "stale read {}: index {}, but {} was committed when it was asked", read.token,
            read.index.value, asked->second.value);
    reads_.erase(asked);
  }
}

void SafetyChecker::check_leader(const RaftNode& node) {
  auto [leader, first] = leaders_.insert({node.term(), node.id()});
  require(leader->second == node.id(), "election safety: {} and {} lead term {}",
          leader->second.value, node.id().value, node.term().value);
  if (!first) return;
  // Leader Completeness, of what was committed in earlier terms.
  for (auto entry = committed_.rbegin(); entry != committed_.rend(); ++entry) {
    if (entry->second.commit_term >= node.term()) continue;
    const Index index{entry->first};
    if (index <= node.log().base().index) return;
    require(node.log().contains({entry->second.entry_term, index}),
            "leader completeness: {} leads term {} without {}/{}", node.id().value,
            node.term().value, entry->second.entry_term.value, index.value);
    return;  // Log Matching covers the rest
  }
}

void SafetyChecker::check_commit(const RaftNode& node, const Configuration& before, Index index,
                                 const std::map<NodeId, const DurableLog*>& durable_logs) {
  const LogId id{*node.log().term_at(index), index};
  auto [known, first] = committed_.insert({index.value, {id.term, node.term()}});
  require(known->second.entry_term == id.term, "state machine safety: {} committed, node {} has {}",
          known->second.entry_term.value, node.id().value, describe(id));
  if (!first || node.role() != Role::kLeader) return;
  size_t copies = 0;
  for (const Member& member : before.members) {
    auto log = durable_logs.find(member.id);
    if (member.voter && log != durable_logs.end() && holds(*log->second, id)) ++copies;
  }
  require(copies >= before.quorum(), "node {} committed {} with {} durable copies among {}",
          node.id().value, describe(id), copies, describe(before));
}

void SafetyChecker::check_node(const RaftNode& node, const Configuration& before,
                               const std::map<NodeId, const DurableLog*>& durable_logs) {
  Life& life = lives_[node.id()];
  require(node.term() >= life.term, "node {}: the term went back", node.id().value);
  require(node.commit_index() >= life.commit, "node {}: the commit index went back",
          node.id().value);
  require(node.log().last().term <= node.term(), "node {}: an entry of a future term",
          node.id().value);
  require(durable_logs.at(node.id())->last().index >= node.durable_index(),
          "node {}: believes {} durable", node.id().value, node.durable_index().value);
  if (node.role() == Role::kLeader) check_leader(node);
  for (Index index = std::max(life.commit, node.log().base().index) + 1;
       index <= node.commit_index(); index = index + 1)
    check_commit(node, before, index, durable_logs);
  life.given_out = std::max(life.given_out, node.applied_index());  // an installed snapshot
  life.term = node.term();
  life.commit = node.commit_index();
  highest_commit_ = std::max(highest_commit_, node.commit_index());
}

void SafetyChecker::check_applied(NodeId node, LogId at, uint64_t hash) {
  auto [known, first] = hashes_.insert({at.index.value, hash});
  require(known->second == hash, "state machine safety: node {} differs at {}", node.value,
          describe(at));
}

}  // namespace kvstore::raft::testing
