#include "trace_runner.hpp"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "support/raft/describe.hpp"

namespace kvstore::raft::testing {

namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

}  // namespace

TraceRunner::TraceRunner() {
  register_commands();
}

void TraceRunner::register_commands() {
  commands_ = {{"add-nodes", &TraceRunner::add_nodes},
               {"add-node", &TraceRunner::add_node},
               {"crash", &TraceRunner::crash},
               {"restart", &TraceRunner::restart},
               {"tick", &TraceRunner::tick},
               {"campaign", &TraceRunner::campaign},
               {"transfer", &TraceRunner::transfer},
               {"deliver", &TraceRunner::deliver},
               {"duplicate", &TraceRunner::duplicate},
               {"drop", &TraceRunner::drop},
               {"inject", &TraceRunner::inject},
               {"unreachable", &TraceRunner::unreachable},
               {"connected", &TraceRunner::connected},
               {"persist", &TraceRunner::persist},
               {"apply", &TraceRunner::apply},
               {"load", &TraceRunner::load},
               {"compact", &TraceRunner::compact},
               {"propose", &TraceRunner::propose},
               {"read", &TraceRunner::read},
               {"configure", &TraceRunner::configure},
               {"stage", &TraceRunner::stage},
               {"install", &TraceRunner::install},
               {"snapshot-sent", &TraceRunner::snapshot_sent},
               {"stabilize", &TraceRunner::stabilize},
               {"status", &TraceRunner::status},
               {"log", &TraceRunner::log},
               {"network", &TraceRunner::network}};
}

std::string TraceRunner::run(const std::string& command_line) {
  out_.clear();
  Arguments words = words_of(command_line);
  auto quiet = std::find(words.begin(), words.end(), "quiet");
  quiet_ = quiet != words.end();
  if (quiet_) words.erase(quiet);
  auto command = words.empty() ? commands_.end() : commands_.find(words[0]);
  if (command == commands_.end()) return "error: unknown command\n";
  words.erase(words.begin());
  (this->*command->second)(words);
  return out_.empty() ? "ok\n" : out_;
}

TraceRunner::Node& TraceRunner::node(const std::string& name) {
  static Node none;
  auto found = nodes_.find(std::strtoull(name.c_str(), nullptr, 10));
  if (found == nodes_.end()) {
    fail("no node " + name);
    return none;
  }
  return found->second;
}

void TraceRunner::line(const std::string& text) {
  if (!quiet_) out_ += text + "\n";
}

void TraceRunner::fail(const std::string& why) {
  out_ += "error: " + why + "\n";
}

void TraceRunner::step(Node& node, Event event) {
  if (!node.raft) return fail("the node is not running");
  Output out;
  node.raft->step(std::move(event), &out);
  record(node, out);
}

void TraceRunner::record(Node& node, Output& out) {
  const uint64_t id = node.options.id.value;
  if (out.role_changed)
    line(fmt::format("{} is {} in term {}, leader {}", id, role_name(node.raft->role()),
                     node.raft->term().value, node.raft->leader().value));
  if (out.configuration_changed)
    line(fmt::format("{} members: {}", id, describe(node.raft->configuration())));
  for (const ProposeResult& result : out.proposals)
    line(fmt::format("{} proposal {}: {}{}", id, result.token, code_name(result.code),
                     result.code == Code::kOk ? " at " + describe(result.id) : ""));
  for (const ReadResult& result : out.reads)
    line(fmt::format("{} read {}: {}{}", id, result.token, code_name(result.code),
                     result.code == Code::kOk ? fmt::format(" at {}", result.index.value) : ""));
  if (out.snapshot_decision)
    line(fmt::format("{} snapshot: {}", id, describe(*out.snapshot_decision)));
  for (NodeId peer : out.send_snapshots)
    line(fmt::format("{} sends a snapshot to {}", id, peer.value));
  for (const LoadRequest& load : out.loads) {
    line(fmt::format("{} loads {}..{} for {}", id, load.first.value, load.last.value,
                     load.peer ? std::to_string(load.peer.value) : "apply"));
    node.loads.push_back(load);
  }
  for (LogWrite& write : out.log_writes) {
    line(fmt::format("{} writes {}", id, describe(write)));
    node.disk.write(std::move(write));
  }
  if (!out.committed.empty()) {
    line(fmt::format("{} committed {}", id, describe(out.committed)));
    for (Entry& entry : out.committed) node.to_apply.push_back(std::move(entry));
  }
  for (Message& message : out.messages) {
    line(describe(message));
    network_.push_back(std::move(message));
  }
}

void TraceRunner::start(Node& node) {
  node.raft.emplace(node.options, node.disk.restore(node.applied, node.applied_configuration,
                                                    node.options.entry_cache_bytes));
}

void TraceRunner::set_option(Options* options, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos) return fail("not an option: " + assignment);
  const std::string key = assignment.substr(0, equals);
  const uint64_t value = std::strtoull(assignment.c_str() + equals + 1, nullptr, 10);
  const auto small = static_cast<uint32_t>(value);
  if (key == "election") return void(options->election_ticks = small);
  if (key == "heartbeat") return void(options->heartbeat_ticks = small);
  if (key == "disk-stall") return void(options->disk_stall_ticks = small);
  if (key == "append-bytes") return void(options->append_bytes_max = value);
  if (key == "inflight") return void(options->inflight_messages_max = small);
  if (key == "inflight-bytes") return void(options->inflight_bytes_max = value);
  if (key == "uncommitted") return void(options->uncommitted_bytes_max = value);
  if (key == "apply-bytes") return void(options->apply_bytes_max = value);
  if (key == "cache") return void(options->entry_cache_bytes = value);
  fail("unknown option " + key);
}

std::string run_trace(const std::string& text) {
  TraceRunner runner;
  std::istringstream in(text);
  std::string result;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') {
      result += line + "\n";
      continue;
    }
    std::string block;
    std::vector<std::string> commands{line};
    while (std::getline(in, line) && line != "----" && !line.empty()) commands.push_back(line);
    const bool has_expected = line == "----";
    while (has_expected && std::getline(in, line) && !line.empty()) {
    }
    for (const std::string& command : commands) {
      result += command + "\n";
      if (command[0] == '#') continue;
      const std::string output = runner.run(command);
      if (commands.size() > 1 && output != "ok\n") block += "> " + command + "\n";
      if (commands.size() == 1 || output != "ok\n") block += output;
    }
    result += "----\n" + (block.empty() ? "ok\n" : block) + "\n";
  }
  while (result.size() > 1 && result.ends_with("\n\n")) result.pop_back();
  return result;
}

}  // namespace kvstore::raft::testing
