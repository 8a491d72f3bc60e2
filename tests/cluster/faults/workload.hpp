// Clients that read, write, compare-and-set and delete through every node, and remember exactly
// what they asked and what they were told.
//
// Two kinds of keys.  Registers ("r/...") are shared and overwritten; their operations form the
// history that is judged for linearizability.  After some hundred operations all clients move on to
// fresh registers, which keeps the search short.  Entries ("e/...") are written once by one client
// each: every acknowledged one has to be there at the end.
//
// Half of the clients talk to one node only, and so are cut off with it; the others to all.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/cluster.hpp"
#include "support/history/linearizability.hpp"
#include "support/history/recorder.hpp"

namespace kvstore::test {

struct WorkloadOptions {
  size_t clients = 8;
  size_t registers = 4;                  // at a time
  size_t operations_per_register = 300;  // then fresh ones
  uint64_t seed = 1;
  std::chrono::milliseconds timeout{2000};  // of one operation
  std::chrono::milliseconds pause{2};       // of a client between operations, at most
};

// From the start of the workload.
using Microseconds = uint64_t;
struct Interval {
  Microseconds begin, end;
};

class Workload {
 public:
  // Starts the clients.  The history is also written to `file` as it grows.
  Workload(Cluster& cluster, std::filesystem::path file, const WorkloadOptions& options = {});
  ~Workload();

  void stop();
  Microseconds now() const;
  uint64_t acknowledged_writes() const { return acknowledged_writes_; }

  // After stop(), through each node that has to have everything: reads all keys, compares the
  // entries, adds what registers hold to the history.  Empty, or what is wrong.
  std::string verify(Cluster& cluster, Node& node);
  history::CheckResult check() const;
  std::filesystem::path file() const { return file_; }

  struct Count {
    uint64_t ok = 0, not_done = 0, unknown = 0;
  };
  // By kind of operation.
  std::map<std::string, Count> counts() const;
  uint64_t operations() const;
  // Errors by code, "" being none.
  std::map<std::string, uint64_t> errors() const;
  // The longest time without an acknowledged write, not counting what lies before the end of one of
  // `excused` that reaches into it.
  Interval longest_without_writes(const std::vector<Interval>& excused) const;

 private:
  struct Actor;
  void run(size_t client);
  void act(Actor& actor);
  void put_entry(Actor& actor);
  void touch_register(Actor& actor);
  // Records an operation of the given kind around `call`, which fills in the answer.
  template <typename Call>
  void record(Actor& actor, const std::string& kind, history::Operation operation,
              const Call& call);
  void account(const std::string& kind, history::Outcome outcome, const std::string& code,
               bool is_write);

  const WorkloadOptions options_;
  const std::filesystem::path file_;
  std::vector<std::string> servers_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  history::Recorder recorder_;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> next_client_, register_operations_ = 0, acknowledged_writes_ = 0;
  mutable std::mutex mutex_;  // everything below
  std::map<std::string, Count> counts_;
  std::map<std::string, uint64_t> errors_;
  std::vector<Microseconds> write_times_;
  std::map<std::string, std::string> acknowledged_, unknown_;  // entries
  std::set<std::string> register_names_;
  std::vector<std::thread> threads_;
};

}  // namespace kvstore::test
