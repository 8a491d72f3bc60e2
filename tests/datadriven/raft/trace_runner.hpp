// Runs a text trace against a cluster of RaftNodes whose network, disks and state machines move
// only on command.  README.md in this folder lists the commands.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raft/raft_node.hpp"
#include "support/raft/test_disk.hpp"

namespace kvstore::raft::testing {

class TraceRunner {
 public:
  TraceRunner();

  // Executes one command line and returns what happened, a line per event.  An unknown or malformed
  // command yields a line that begins with "error:".
  std::string run(const std::string& line);

 private:
  struct Node {
    Options options;
    std::optional<RaftNode> raft;  // empty while crashed
    TestDisk disk;
    std::deque<Entry> to_apply;
    LogId applied;
    Configuration applied_configuration;
    std::deque<LoadRequest> loads;
    std::optional<SnapshotMeta> installing;
  };
  struct Staged {
    SnapshotMeta meta;
    Term term;
  };
  using Arguments = std::vector<std::string>;
  using Command = void (TraceRunner::*)(const Arguments&);

  void register_commands();
  Node& node(const std::string& name);
  void step(Node& node, Event event);
  void record(Node& node, Output& out);
  void line(const std::string& text);
  void fail(const std::string& why);
  void start(Node& node);

  // Cluster.
  void add_nodes(const Arguments&);
  void add_node(const Arguments&);
  void crash(const Arguments&);
  void restart(const Arguments&);
  void set_option(Options* options, const std::string& assignment);
  // Time and elections.
  void tick(const Arguments&);
  void campaign(const Arguments&);
  void transfer(const Arguments&);
  // Network.
  void deliver(const Arguments&);
  void duplicate(const Arguments&);
  void drop(const Arguments&);
  void inject(const Arguments&);
  void unreachable(const Arguments&);
  void connected(const Arguments&);
  std::vector<Message> take(const Arguments&, size_t first);
  bool deliver_to(std::optional<uint64_t> from, std::optional<uint64_t> to);
  // Disk and state machine.
  void persist(const Arguments&);
  void apply(const Arguments&);
  void load(const Arguments&);
  void compact(const Arguments&);
  bool persist_node(Node& node, size_t count);
  bool apply_node(Node& node);
  bool load_node(Node& node);
  // Clients.
  void propose(const Arguments&);
  void read(const Arguments&);
  void configure(const Arguments&);
  // Snapshots.
  void stage(const Arguments&);
  void install(const Arguments&);
  void snapshot_sent(const Arguments&);
  // Whole.
  void stabilize(const Arguments&);
  void status(const Arguments&);
  void log(const Arguments&);
  void network(const Arguments&);

  std::map<std::string, Command> commands_;
  std::map<uint64_t, Node> nodes_;
  std::vector<Message> network_;
  std::map<std::pair<uint64_t, uint64_t>, SnapshotMeta> snapshots_;  // the last one sent on a link
  std::string out_;
  bool quiet_ = false;
  uint64_t next_token_ = 1;
};

// Runs a trace file: comments, then commands, each followed by "----" and its expected output up to
// an empty line.  Returns the file's text with the actual output in place of the expected one.
std::string run_trace(const std::string& text);

}  // namespace kvstore::raft::testing
