// Real kvstore-server processes for tests: on free ports of the loopback interface, each with its
// own data directory and log file, killed with the test.
//
//   test::Cluster cluster("my-case");
//   cluster.boot(3);                                  // three voters, the way the README says
//   cluster.put("k", "v");
//   cluster.leader().kill();
//   cluster.wait_for_leader();
//
// Every node checks all calls to and from its plugins ("checked").
//
// Concurrency: Cluster and Node belong to the test's main thread (a process started by another
// thread would die with that thread); Load has threads of its own.  Everything that waits has a
// generous limit and fails the test with the ends of the nodes' logs.  Logs and data stay, and are
// named, when the test failed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <kvstore/client/client.hpp>

#include <sys/types.h>

namespace kvstore::test {

using Flags = std::vector<std::string>;

// Polls until `done` is true; false when it was not within `limit`.
bool poll_until(std::chrono::milliseconds limit, const std::function<bool()>& done);

inline constexpr std::chrono::milliseconds kPatience{60'000};

// Whether an assertion of the running case has failed so far.
bool test_failed();

// A port of 127.0.0.1 that nobody uses at the moment, outside the range that outgoing connections
// take.
uint16_t free_port();

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Bytes that differ at every offset in a way that a lost or swapped block shows.
std::string pattern(size_t bytes, uint32_t seed);

// The headers of a request whose body is JSON.
inline const std::map<std::string, std::string> kJson = {{"Content-Type", "application/json"}};

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

class Node {
 public:
  Node(std::string name, std::filesystem::path dir, std::string engine);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const std::string& name() const { return name_; }
  std::string url() const { return "http://" + host_ + ":" + std::to_string(http_port_); }
  // What other nodes are told.
  std::string raft_address() const {
    return advertised_.empty() ? host_ + ":" + std::to_string(raft_port_) : advertised_;
  }
  uint16_t http_port() const { return http_port_; }
  uint16_t raft_port() const { return raft_port_; }
  std::filesystem::path data_dir() const { return data_dir_; }
  std::filesystem::path log_file() const { return dir_ / (name_ + ".log"); }
  std::string log() const;
  pid_t pid() const { return pid_; }

  // Where the node lives, from its next start on: another address in another network namespace (a
  // file descriptor that outlives the node), another address that its peers are told, another
  // directory for its data, environment variables beside those of the test.
  void set_place(std::string host, int network);
  void set_advertised(std::string address);
  void set_data_dir(std::filesystem::path dir);
  void set_environment(const std::string& name, const std::string& value) {
    environment_[name] = value;
  }
  const std::string& engine() const { return engine_; }
  void set_engine(std::string engine) { engine_ = std::move(engine); }
  // Flags of every start from now on, beside those that name the node and its places.
  void set_flags(Flags flags) { flags_ = std::move(flags); }
  // "--set KEY=VALUE" at every start.
  void set(const std::string& key_value);
  // Another value for one of the flags that name the node and its places ("--http-port").
  void replace(const std::string& flag, const std::string& value) { places_[flag] = value; }

  // Starts the process and returns at once.
  void start();
  bool is_running();
  // How the process before this one ended: its exit code, or -SIGNAL.
  int last_exit() const { return exit_code_; }
  // SIGTERM; the exit code, or -SIGNAL.  Killed, and a failed test, when it does not end within 20
  // s.
  int stop();
  // SIGKILL, and the process is gone.
  void kill();
  void pause();
  void resume();
  // Waits for a process that ends by itself; the exit code, or -SIGNAL.
  int wait_exit();
  void wipe();

  // A client that talks to this node only.
  client::Client client(std::chrono::milliseconds timeout = std::chrono::seconds(5)) const;
  // One plain request, as curl would send it; status 0 when there is no answer.
  HttpAnswer http(const std::string& method, const std::string& target,
                  const std::string& body = "",
                  const std::map<std::string, std::string>& headers = {}) const;

 private:
  int reap(bool block);
  Flags arguments() const;

  const std::string name_;
  const std::filesystem::path dir_;
  std::filesystem::path data_dir_;
  std::string engine_;
  const uint16_t http_port_, raft_port_;
  std::string host_ = "127.0.0.1", advertised_;
  int network_ = -1;  // -1: that of the test
  std::map<std::string, std::string> places_, environment_;
  Flags flags_, settings_;
  std::atomic<pid_t> pid_ = 0;  // 0: no process
  int exit_code_ = 0;
};

class Cluster {
 public:
  explicit Cluster(const std::string& case_name);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Makes a node that is not started; named "node1", "node2", ... unless `name` is given.
  Node& make_node(const std::string& engine = "leveldb", const std::string& name = "");
  Node& operator[](size_t i) { return *nodes_.at(i); }
  size_t size() const { return nodes_.size(); }
  std::vector<std::string> urls() const;
  std::vector<Node*> running();

  // Starts the made nodes, or makes `count` of them first, and makes voters of them all.
  void boot(size_t count, const std::string& engine = "leveldb");
  void boot();
  // The flags of a first start: node 0 bootstraps, the others name their predecessors as peers.
  void set_boot_flags();
  // POST /cluster/nodes through any node, until it says voter.
  void admit(Node& node);

  void wait_until(const std::string& what, const std::function<bool()>& done,
                  std::chrono::milliseconds limit = kPatience);
  // The node that leads and that knows it; waits for there to be one.
  Node& leader();
  void wait_for_leader() { (void)leader(); }
  // Every one of these has applied what the leader has committed, and is a healthy member.
  void wait_caught_up(const std::vector<Node*>& nodes);
  void wait_healthy(Node& node);
  // "voter", "learner", "pending", or "" when there is no such member.
  std::string role_of(const std::string& name);

  // A client of all nodes, started or not.
  client::Client client(std::chrono::milliseconds timeout = std::chrono::seconds(15)) const;
  // Through any node; must succeed.  Repeated while the outcome is unknown: it is the same put.
  void put(const std::string& key, const std::string& value);
  std::string get(Node& node, const std::string& key);
  // All pairs below a prefix, read through one node.
  std::map<std::string, std::string> read_all(Node& node, const std::string& prefix);

  std::filesystem::path dir() const { return dir_; }
  // The ends of all logs, for messages.
  std::string logs() const;

 private:
  std::filesystem::path dir_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

// Writers that put ever new keys through all nodes and remember what was acknowledged.
class Load {
 public:
  Load(const Cluster& cluster, std::string prefix, size_t writers, size_t value_bytes = 100);
  ~Load();

  void stop();
  uint64_t acknowledged_count() const { return count_; }
  // After stop(): every acknowledged pair is there as written, and nothing that was never sent.
  void verify(const std::map<std::string, std::string>& found) const;

 private:
  void write(size_t writer);

  const std::string prefix_;
  const size_t value_bytes_;
  std::vector<std::string> servers_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> count_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> acknowledged_, unknown_;
  std::vector<std::thread> threads_;
};

}  // namespace kvstore::test
