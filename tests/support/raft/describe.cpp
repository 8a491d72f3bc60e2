#include "support/raft/describe.hpp"

#include <fmt/format.h>

namespace kvstore::raft::testing {

namespace {

const char* type_name(MessageType type) {
  static constexpr const char* kNames[] = {
      "?",           "PreVote",   "PreVoteReply",   "Vote",      "VoteReply",      "Append",
      "AppendReply", "Heartbeat", "HeartbeatReply", "ReadIndex", "ReadIndexReply", "TimeoutNow"};
  return kNames[static_cast<size_t>(type) < std::size(kNames) ? static_cast<size_t>(type) : 0];
}

}  // namespace

std::string describe(LogId id) {
  return fmt::format("{}/{}", id.term.value, id.index.value);
}

std::string describe(const Entry& entry) {
  std::string what;
  if (entry.kind == EntryKind::kNoop) what = "noop";
  if (entry.kind == EntryKind::kCommand) {
    Bytes data = entry.data.view();
    what = data.size() <= 20 ? fmt::format("'{}'", data) : fmt::format("{} bytes", data.size());
  }
  if (entry.kind == EntryKind::kConfiguration) {
    auto decoded = Configuration::decode(entry.data.view());
    what = "conf(" + (decoded ? describe(*decoded) : std::string("malformed")) + ")";
  }
  return describe(entry.id) + " " + what;
}

std::string describe(const std::vector<Entry>& entries) {
  std::string out;
  for (const Entry& entry : entries) out += (out.empty() ? "" : ", ") + describe(entry);
  return "[" + out + "]";
}

std::string describe(const Configuration& configuration) {
  std::string out;
  for (const Member& member : configuration.members) {
    out += fmt::format("{}{}{}{}", out.empty() ? "" : " ", member.id.value, member.voter ? "" : "L",
                       member.auto_promote ? "+" : "");
  }
  return out;
}

std::string describe(const Message& m) {
  std::string out =
      fmt::format("{}->{} {} term={}", m.from.value, m.to.value, type_name(m.type), m.term.value);
  switch (m.type) {
    case MessageType::kPreVote:
    case MessageType::kVote:
      out += fmt::format(" log={}{}", describe(m.log), m.forced ? " forced" : "");
      break;
    case MessageType::kAppend:
      out +=
          fmt::format(" log={} commit={} {}", describe(m.log), m.commit.value, describe(m.entries));
      break;
    case MessageType::kAppendReply:
      if (!m.reject) out += fmt::format(" match={}", m.match.value);
      if (m.reject) out += fmt::format(" rejected={} hint={}", m.rejected.value, describe(m.hint));
      break;
    case MessageType::kHeartbeat:
      out += fmt::format(" commit={}", m.commit.value);
      break;
    case MessageType::kHeartbeatReply:
      out += m.reject ? " reject" : fmt::format(" match={}", m.match.value);
      break;
    case MessageType::kReadIndex:
      out += fmt::format(" token={}", m.token);
      break;
    case MessageType::kReadIndexReply:
      out += fmt::format(" token={} ", m.token);
      out += m.reject ? "reject" : fmt::format("index={}", m.commit.value);
      break;
    case MessageType::kPreVoteReply:
    case MessageType::kVoteReply:
      out += m.reject ? " reject" : " grant";
      break;
    case MessageType::kTimeoutNow:
      break;
  }
  if (m.space_low) out += " space-low";
  if (m.read_round > 0) out += fmt::format(" round={}", m.read_round);
  return out;
}

std::string describe(const LogWrite& write) {
  std::string out = fmt::format("#{}", write.sequence);
  if (write.hard_state)
    out += fmt::format(" term={} vote={} commit={}", write.hard_state->term.value,
                       write.hard_state->voted_for.value, write.hard_state->commit.value);
  if (write.truncate_from) out += fmt::format(" truncate={}", write.truncate_from->value);
  if (!write.entries.empty()) out += " " + describe(write.entries);
  if (!write.must_sync) out += " unsynced";
  return out;
}

std::string describe(const PeerStatus& peer) {
  static constexpr const char* kStates[] = {"probe", "replicate", "snapshot"};
  return fmt::format("{} {} match={} next={}{}{}{}", peer.id.value,
                     kStates[static_cast<size_t>(peer.state)], peer.match.value, peer.next.value,
                     peer.recently_active ? "" : " silent", peer.space_low ? " space-low" : "",
                     peer.reverted ? " reverted" : "");
}

std::string describe(SnapshotDecision decision) {
  switch (decision) {
    case SnapshotDecision::kInstall:
      return "install";
    case SnapshotDecision::kAlreadyHave:
      return "already-have";
    case SnapshotDecision::kStale:
      return "stale";
  }
  return "?";
}

}  // namespace kvstore::raft::testing
