// One RaftNode with its disk, for tests that speak to it directly.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "raft/raft_node.hpp"
#include "support/raft/test_disk.hpp"

namespace kvstore::raft::testing {

inline Configuration voters(std::initializer_list<uint64_t> ids) {
  Configuration configuration;
  for (uint64_t id : ids) configuration.set({.id = {id}, .voter = true});
  return configuration;
}

inline Options test_options(uint64_t id = 1) {
  Options options;
  options.id = {id};
  options.heartbeat_ticks = 2;
  options.election_ticks = 10;
  return options;
}

inline Entry make_entry(uint64_t term, uint64_t index, std::string data = "x",
                        EntryKind kind = EntryKind::kCommand) {
  Entry entry{{{term}, {index}}, kind, 0, SharedBytes(std::move(data))};
  entry.crc = entry_crc(entry.id, kind, entry.data.view());
  return entry;
}

// A log with one entry per given term, from index 1 on.
inline std::vector<Entry> entries_of(std::initializer_list<uint64_t> terms) {
  std::vector<Entry> entries;
  for (uint64_t term : terms) entries.push_back(make_entry(term, entries.size() + 1));
  return entries;
}

class NodeFixture {
 public:
  explicit NodeFixture(const Configuration& configuration, HardState hard = {},
                       std::vector<Entry> log = {}, Options options = test_options())
      : options_(options), configuration_(configuration) {
    LogWrite write{
        .sequence = 0, .hard_state = hard, .truncate_from = {}, .entries = std::move(log)};
    disk_.write(std::move(write));
    disk_.persist();
    restart();
  }

  // A power loss: writes that were not persisted are gone, nothing is applied twice.
  void restart() {
    node_.reset();
    disk_.crash();
    node_.emplace(options_, disk_.restore(applied_, configuration_, options_.entry_cache_bytes));
  }

  // Steps, carries the log writes to the disk and applies what was committed; what else came out is
  // in `out`, which is emptied first.
  void step(Event event) {
    out = Output();
    node_->step(std::move(event), &out);
    for (const LogWrite& write : out.log_writes) disk_.write(write);
    if (!out.committed.empty() && apply_) {
      applied_ = out.committed.back().id;
      Output more;
      node_->step(Applied{applied_.index}, &more);
      for (Message& message : more.messages) out.messages.push_back(std::move(message));
    }
  }
  void tick(int count = 1) {
    std::vector<Message> messages;
    for (int i = 0; i < count; ++i) {
      step(Tick{});
      for (Message& message : out.messages) messages.push_back(std::move(message));
    }
    out.messages = std::move(messages);
  }
  void receive(Message message) {
    message.to = options_.id;
    step(MessageReceived{std::move(message)});
  }
  // Completes all writes.  Messages of the step are in `out`.
  void persist() {
    if (const uint64_t sequence = disk_.persist()) step(LogPersisted{sequence});
  }

  // Elected by everybody, with the no-op durable and acknowledged by everybody.
  void lead() {
    elect();
    persist();
    const Index noop = node().log().last().index;
    for (const Member& member : node().configuration().members) {
      if (member.id != options_.id) acknowledge(member.id.value, noop.value);
    }
  }
  // Elected, with nothing but the election done.
  void elect() {
    step(Campaign{});
    for (const Member& member : node().configuration().members)
      if (member.id != options_.id && member.voter)
        receive(message(MessageType::kPreVoteReply, member.id.value, node().term().value + 1));
    persist();
    for (const Member& member : node().configuration().members)
      if (member.id != options_.id && member.voter && node().role() == Role::kCandidate)
        receive(message(MessageType::kVoteReply, member.id.value, node().term().value));
  }
  void acknowledge(uint64_t from, uint64_t match, uint64_t round = 0) {
    Message reply = message(MessageType::kAppendReply, from, node().term().value);
    reply.match = {match};
    reply.read_round = round;
    receive(reply);
  }
  ProposeResult propose(const std::string& data = "x") {
    Propose batch;
    batch.proposals.push_back({1, SharedBytes::copy_of(data)});
    step(std::move(batch));
    return out.proposals.at(0);
  }
  Code configure(const Configuration& configuration) {
    step(ProposeConfiguration{1, configuration});
    return out.proposals.at(0).code;
  }

  static Message message(MessageType type, uint64_t from, uint64_t term) {
    Message result;
    result.type = type;
    result.from = {from};
    result.term = {term};
    return result;
  }
  static Message append(uint64_t from, uint64_t term, LogId previous, std::vector<Entry> entries,
                        uint64_t commit = 0) {
    Message result = message(MessageType::kAppend, from, term);
    result.log = previous;
    result.entries = std::move(entries);
    result.commit = {commit};
    return result;
  }
  static Message vote_request(uint64_t from, uint64_t term, LogId last) {
    Message result = message(MessageType::kVote, from, term);
    result.log = last;
    return result;
  }

  // The first message of the type in `out`; to anybody when `to` is 0.
  const Message* sent(MessageType type, uint64_t to = 0) const {
    for (const Message& candidate : out.messages)
      if (candidate.type == type && (to == 0 || candidate.to.value == to)) return &candidate;
    return nullptr;
  }

  RaftNode& node() { return *node_; }
  TestDisk& disk() { return disk_; }
  std::vector<uint64_t> log_terms() const {
    std::vector<uint64_t> terms;
    for (const Entry& entry : disk_.visible().entries) terms.push_back(entry.id.term.value);
    return terms;
  }
  void stop_applying() { apply_ = false; }

  Output out;

 private:
  Options options_;
  Configuration configuration_;
  TestDisk disk_;
  std::optional<RaftNode> node_;
  LogId applied_;
  bool apply_ = true;
};

}  // namespace kvstore::raft::testing
