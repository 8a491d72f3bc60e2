// The commands of a trace.
#include <algorithm>

#include <fmt/format.h>

#include "support/raft/describe.hpp"
#include "trace_runner.hpp"

namespace kvstore::raft::testing {

namespace {

uint64_t number(const std::string& text) {
  return std::strtoull(text.c_str(), nullptr, 10);
}

std::string argument(const std::vector<std::string>& arguments, size_t at) {
  return at < arguments.size() ? arguments[at] : "";
}

// "1->2", "1->*", "*->2" or "*".
bool parse_link(const std::string& text, std::optional<uint64_t>* from,
                std::optional<uint64_t>* to) {
  if (text.empty() || text == "*") return true;
  const size_t arrow = text.find("->");
  if (arrow == std::string::npos) return false;
  if (text.substr(0, arrow) != "*") *from = number(text);
  if (text.substr(arrow + 2) != "*") *to = number(text.substr(arrow + 2));
  return true;
}

LogId parse_log_id(const std::string& text) {
  const size_t slash = text.find('/');
  return {{number(text)}, {number(slash == std::string::npos ? "" : text.substr(slash + 1))}};
}

Entry command_entry(LogId id, const std::string& data) {
  Entry entry{id, EntryKind::kCommand, 0, SharedBytes::copy_of(data)};
  entry.crc = entry_crc(id, entry.kind, entry.data.view());
  return entry;
}

}  // namespace

// --- Cluster.

void TraceRunner::add_nodes(const Arguments& arguments) {
  const uint64_t count = number(argument(arguments, 0));
  Configuration configuration;
  for (uint64_t id = 1; id <= count; ++id) configuration.set({.id = {id}, .voter = true});
  for (uint64_t id = 1; id <= count; ++id) {
    Node& added = nodes_[id];
    added.options.id = {id};
    added.options.seed = id;
    added.options.heartbeat_ticks = 2;
    added.options.election_ticks = 10;
    added.options.disk_stall_ticks = 1000;
    for (size_t i = 1; i < arguments.size(); ++i) set_option(&added.options, arguments[i]);
    added.applied_configuration = configuration;
    start(added);
  }
}

void TraceRunner::add_node(const Arguments& arguments) {
  const uint64_t id = number(argument(arguments, 0));
  if (id == 0 || nodes_.empty()) return fail("add-node <id>, after add-nodes");
  Node& added = nodes_[id];
  added.options = nodes_.begin()->second.options;
  added.options.id = {id};
  added.options.seed = id;
  for (size_t i = 1; i < arguments.size(); ++i) set_option(&added.options, arguments[i]);
  start(added);
}

// crash <id> [whole writes that survive] [parts of the next one]
void TraceRunner::crash(const Arguments& arguments) {
  Node& crashed = node(argument(arguments, 0));
  crashed.raft.reset();
  crashed.disk.crash(number(argument(arguments, 1)), number(argument(arguments, 2)));
  crashed.to_apply.clear();
  crashed.loads.clear();
  crashed.installing.reset();
}

void TraceRunner::restart(const Arguments& arguments) {
  Node& restarted = node(argument(arguments, 0));
  start(restarted);
}

// --- Time and elections.

void TraceRunner::tick(const Arguments& arguments) {
  const uint64_t count = arguments.size() > 1 ? number(arguments[1]) : 1;
  for (uint64_t i = 0; i < count; ++i) step(node(argument(arguments, 0)), Tick{});
}

void TraceRunner::campaign(const Arguments& arguments) {
  step(node(argument(arguments, 0)), Campaign{});
}

void TraceRunner::transfer(const Arguments& arguments) {
  step(node(argument(arguments, 0)), TransferLeadership{{number(argument(arguments, 1))}});
}

// --- Network.

std::vector<Message> TraceRunner::take(const Arguments& arguments, size_t first) {
  std::vector<Message> taken;
  for (size_t i = first; i < std::max(arguments.size(), first + 1); ++i) {
    std::optional<uint64_t> from, to;
    if (!parse_link(argument(arguments, i), &from, &to)) fail("not a link: " + arguments[i]);
    auto matches = [&](const Message& m) {
      return (!from || m.from.value == *from) && (!to || m.to.value == *to);
    };
    for (const Message& message : network_) {
      if (matches(message)) taken.push_back(message);
    }
    std::erase_if(network_, matches);
  }
  return taken;
}

void TraceRunner::deliver(const Arguments& arguments) {
  for (Message& message : take(arguments, 0)) {
    auto target = nodes_.find(message.to.value);
    if (target != nodes_.end() && target->second.raft)
      step(target->second, MessageReceived{std::move(message)});
  }
}

// Delivers without taking the messages off the network.
void TraceRunner::duplicate(const Arguments& arguments) {
  std::vector<Message> copies = take(arguments, 0);
  for (const Message& message : copies) network_.push_back(message);
  for (Message& message : copies) {
    auto target = nodes_.find(message.to.value);
    if (target != nodes_.end() && target->second.raft)
      step(target->second, MessageReceived{std::move(message)});
  }
}

void TraceRunner::drop(const Arguments& arguments) {
  for (const Message& message : take(arguments, 0)) line("dropped " + describe(message));
}

// inject <from>-><to> <Type> key=value...: a message made by hand, delivered at once.
void TraceRunner::inject(const Arguments& arguments) {
  std::optional<uint64_t> from, to;
  if (arguments.size() < 2 || !parse_link(arguments[0], &from, &to) || !from || !to)
    return fail("inject <from>-><to> <type> ...");
  static const std::map<std::string, MessageType> kTypes = {
      {"PreVote", MessageType::kPreVote},
      {"PreVoteReply", MessageType::kPreVoteReply},
      {"Vote", MessageType::kVote},
      {"VoteReply", MessageType::kVoteReply},
      {"Append", MessageType::kAppend},
      {"AppendReply", MessageType::kAppendReply},
      {"Heartbeat", MessageType::kHeartbeat},
      {"HeartbeatReply", MessageType::kHeartbeatReply},
      {"ReadIndex", MessageType::kReadIndex},
      {"ReadIndexReply", MessageType::kReadIndexReply},
      {"TimeoutNow", MessageType::kTimeoutNow}};
  auto type = kTypes.find(arguments[1]);
  if (type == kTypes.end()) return fail("unknown message type " + arguments[1]);
  Message message;
  message.type = type->second;
  message.from = {*from};
  message.to = {*to};
  for (size_t i = 2; i < arguments.size(); ++i) {
    const size_t equals = arguments[i].find('=');
    const std::string key = arguments[i].substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : arguments[i].substr(equals + 1);
    if (key == "term")
      message.term = {number(value)};
    else if (key == "log")
      message.log = parse_log_id(value);
    else if (key == "commit")
      message.commit = {number(value)};
    else if (key == "match")
      message.match = {number(value)};
    else if (key == "hint")
      message.hint = parse_log_id(value);
    else if (key == "rejected")
      message.rejected = {number(value)};
    else if (key == "round")
      message.read_round = number(value);
    else if (key == "token")
      message.token = number(value);
    else if (key == "reject")
      message.reject = true;
    else if (key == "forced")
      message.forced = true;
    else if (key == "space_low")
      message.space_low = true;
    else if (key == "entry")
      message.entries.push_back(command_entry(parse_log_id(value), "x"));
    else
      return fail("unknown field " + key);
  }
  step(node(std::to_string(*to)), MessageReceived{std::move(message)});
}

void TraceRunner::unreachable(const Arguments& arguments) {
  step(node(argument(arguments, 0)), PeerUnreachable{{number(argument(arguments, 1))}});
}

void TraceRunner::connected(const Arguments& arguments) {
  step(node(argument(arguments, 0)), PeerConnected{{number(argument(arguments, 1))}});
}

// --- Disk and state machine.

bool TraceRunner::persist_node(Node& target, size_t count) {
  if (!target.raft || target.disk.idle()) return false;
  step(target, LogPersisted{target.disk.persist(count)});
  return true;
}

bool TraceRunner::apply_node(Node& target) {
  if (!target.raft || target.to_apply.empty()) return false;
  for (const Entry& entry : target.to_apply) {
    target.applied = entry.id;
    if (entry.kind == EntryKind::kConfiguration)
      target.applied_configuration = Configuration::decode(entry.data.view()).value();
  }
  target.to_apply.clear();
  step(target, Applied{target.applied.index});
  return true;
}

bool TraceRunner::load_node(Node& target) {
  if (!target.raft || target.loads.empty()) return false;
  const LoadRequest request = target.loads.front();
  target.loads.pop_front();
  step(target, target.disk.load(request));
  return true;
}

void TraceRunner::persist(const Arguments& arguments) {
  const size_t count = arguments.size() > 1 ? number(arguments[1]) : SIZE_MAX;
  if (!persist_node(node(argument(arguments, 0)), count)) line("nothing to persist");
}

void TraceRunner::apply(const Arguments& arguments) {
  if (!apply_node(node(argument(arguments, 0)))) line("nothing to apply");
}

// load <id> [error]: answers the oldest request.
void TraceRunner::load(const Arguments& arguments) {
  Node& target = node(argument(arguments, 0));
  if (target.loads.empty()) return line("nothing to load");
  if (argument(arguments, 1).empty()) return void(load_node(target));
  const LoadRequest request = target.loads.front();
  target.loads.pop_front();
  const Code code = arguments[1] == "compacted" ? Code::kCompacted : Code::kIo;
  step(target, EntriesLoaded{request.peer, request.first, code, {}});
}

void TraceRunner::compact(const Arguments& arguments) {
  Node& target = node(argument(arguments, 0));
  const Index upto{number(argument(arguments, 1))};
  target.disk.compact(upto);
  step(target, LogCompacted{upto});
}

// --- Clients.

void TraceRunner::propose(const Arguments& arguments) {
  Propose batch;
  for (size_t i = 1; i < arguments.size(); ++i)
    batch.proposals.push_back({next_token_++, SharedBytes::copy_of(arguments[i])});
  step(node(argument(arguments, 0)), std::move(batch));
}

void TraceRunner::read(const Arguments& arguments) {
  const uint64_t count = arguments.size() > 1 ? number(arguments[1]) : 1;
  for (uint64_t i = 0; i < count; ++i)
    step(node(argument(arguments, 0)), ReadIndexRequest{next_token_++});
}

// configure <id> 1 2 3L 4L+: the members wanted; L: learner, +: promoted when caught up.
void TraceRunner::configure(const Arguments& arguments) {
  ProposeConfiguration change{next_token_++, {}};
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string& text = arguments[i];
    change.configuration.set({.id = {number(text)},
                              .voter = text.find('L') == std::string::npos,
                              .auto_promote = text.find('+') != std::string::npos});
  }
  step(node(argument(arguments, 0)), std::move(change));
}

// --- Snapshots.

// stage <from>-><to>: a snapshot of what <from> has applied arrives at <to>.
// stage <from>-><to> again: the one before arrives once more.
void TraceRunner::stage(const Arguments& arguments) {
  std::optional<uint64_t> from, to;
  if (!parse_link(argument(arguments, 0), &from, &to) || !from || !to)
    return fail("stage <from>-><to>");
  Node& sender = node(std::to_string(*from));
  if (!sender.raft) return fail("the sender is not running");
  if (argument(arguments, 1) != "again")
    snapshots_[{*from, *to}] = {sender.applied,
                                sender.raft->configuration_at(sender.applied.index)};
  const SnapshotMeta& meta = snapshots_[{*from, *to}];
  Node& receiver = node(std::to_string(*to));
  line(fmt::format("{}->{} snapshot at {} members: {}", *from, *to, describe(meta.last),
                   describe(meta.configuration)));
  const bool busy = receiver.installing.has_value();
  step(receiver, SnapshotStaged{{*from}, sender.raft->term(), meta});
  if (!busy && out_.find("snapshot: install") != std::string::npos) receiver.installing = meta;
}

// install <id> [failed]
void TraceRunner::install(const Arguments& arguments) {
  Node& target = node(argument(arguments, 0));
  if (!target.installing) return fail("nothing to install");
  const SnapshotMeta meta = *target.installing;
  target.installing.reset();
  if (argument(arguments, 1) == "failed") return step(target, SnapshotInstallFailed{});
  apply_node(target);
  target.applied = meta.last;
  target.applied_configuration = meta.configuration;
  const uint64_t sequence = target.disk.reset(meta.last);
  if (sequence > 0) step(target, LogPersisted{sequence});
  step(target, SnapshotInstalled{meta});
}

// snapshot-sent <from>-><to> ok|failed
void TraceRunner::snapshot_sent(const Arguments& arguments) {
  std::optional<uint64_t> from, to;
  if (!parse_link(argument(arguments, 0), &from, &to) || !from || !to)
    return fail("snapshot-sent <from>-><to> ok|failed");
  const bool ok = argument(arguments, 1) == "ok";
  step(node(std::to_string(*from)), SnapshotSent{{*to}, ok, snapshots_[{*from, *to}].last});
}

// --- Whole.

// stabilize [ids]: the named nodes' (all: none named) disks, state machines and messages between
// them move until nothing is left to do.
void TraceRunner::stabilize(const Arguments& arguments) {
  std::vector<uint64_t> ids;
  for (const std::string& name : arguments) ids.push_back(number(name));
  if (ids.empty()) {
    for (const auto& [id, unused] : nodes_) ids.push_back(id);
  }
  auto named = [&](NodeId id) { return std::find(ids.begin(), ids.end(), id.value) != ids.end(); };
  for (bool moved = true; moved;) {
    moved = false;
    for (uint64_t id : ids) {
      Node& target = nodes_[id];
      moved |= persist_node(target, SIZE_MAX);
      moved |= apply_node(target);
      moved |= load_node(target);
    }
    std::vector<Message> now;
    auto inside = [&](const Message& m) { return named(m.from) && named(m.to); };
    for (const Message& message : network_) {
      if (inside(message)) now.push_back(message);
    }
    std::erase_if(network_, inside);
    for (Message& message : now) {
      Node& target = nodes_[message.to.value];
      if (target.raft) step(target, MessageReceived{std::move(message)});
      moved = true;
    }
  }
}

void TraceRunner::status(const Arguments& arguments) {
  for (auto& [id, shown] : nodes_) {
    if (!arguments.empty() && id != number(arguments[0])) continue;
    if (!shown.raft) {
      line(fmt::format("{}: down", id));
      continue;
    }
    const RaftNode& raft = *shown.raft;
    line(fmt::format(
        "{}: {} term={} leader={} commit={} applied={} durable={} log={}..{} members: {}{}{}{}", id,
        role_name(raft.role()), raft.term().value, raft.leader().value, raft.commit_index().value,
        raft.applied_index().value, raft.durable_index().value, raft.log().first_index().value,
        raft.log().last().index.value, describe(raft.configuration()),
        raft.configuration_change_pending() ? " (pending)" : "",
        raft.transferring() ? " transferring" : "", raft.disk_stalled() ? " disk-stalled" : ""));
    for (const PeerStatus& peer : raft.peers()) line("  " + describe(peer));
  }
}

void TraceRunner::log(const Arguments& arguments) {
  Node& shown = node(argument(arguments, 0));
  line(fmt::format("base {} {}", describe(shown.disk.visible().base),
                   describe(shown.disk.visible().entries)));
}

void TraceRunner::network(const Arguments&) {
  for (const Message& message : network_) line(describe(message));
}

}  // namespace kvstore::raft::testing
