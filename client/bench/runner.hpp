// Carries a load test out: one thread, one epoll instance, all connections.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config.hpp"
#include "connection.hpp"
#include "pacer.hpp"
#include "results.hpp"

namespace kvstore::bench {

// Called about every 50 ms: how much of the test is over, 0..1, and the answers so far.  false ends
// the test early.
using OnTick = std::function<bool(double share, uint64_t answered)>;

class Runner {
 public:
  Runner(const Config& config, OnTick on_tick);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Blocks until the test is over.  An error text when there was none: a server's name cannot be
  // resolved, or no server was ever reached.
  std::optional<std::string> run(Results* results);

 private:
  struct Link;

  std::optional<std::string> prepare();
  void loop();
  void count_unfinished(uint64_t now_ns);
  bool is_over(uint64_t now_ns) const;
  void wait(uint64_t now_ns);
  void dispatch();
  void handle_events(size_t index);
  void begin(Link& link, size_t index, const Pacer::Start& start);
  void settle(Link& link, size_t index, Connection::Outcome outcome);
  void record(const Link& link, uint64_t now_ns);
  void fail(const Link& link, const char* kind);
  void connect(Link& link, size_t index, uint64_t now_ns);
  void tick(uint64_t now_ns);
  double share_done(uint64_t now_ns) const;

  const Config config_;
  const OnTick on_tick_;
  Workload workload_;
  std::optional<Pacer> pacer_;
  std::vector<Address> addresses_;
  std::vector<Link> links_;
  std::deque<uint32_t> idle_;  // indexes of links, the one that waits longest first
  std::vector<char> buffer_;
  Request request_;
  Results* results_ = nullptr;
  int epoll_fd_ = -1, timer_fd_ = -1;
  uint64_t armed_ns_ = 0, next_tick_ns_ = 0, started_ns_ = 0;
  uint64_t last_connected_ns_ = 0;  // when some connection was last open; 0: never
  uint64_t last_answer_ns_ = 0;
  size_t busy_ = 0;
  bool stopped_ = false;
};

}  // namespace kvstore::bench
