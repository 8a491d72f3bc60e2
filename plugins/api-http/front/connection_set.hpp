// The open connections of one server, and whether threads are wanted.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unordered_set>

namespace kvstore::http {

class Connection;

// `queued` tells how many connections wait for a thread, of which there are at most `threads`.
//
// Concurrency: [any-thread].
class ConnectionSet {
 public:
  // How long an idle connection sleeps before it looks whether its thread is wanted.
  static constexpr uint64_t kIdleSliceMs = 500;

  ConnectionSet(uint64_t threads, std::function<int()> queued)
      : threads_(threads), queued_(std::move(queued)) {}

  // False when the server stops: the connection must end.
  bool add(Connection* connection, const std::string& address);
  void remove(Connection* connection, const std::string& address);

  // Those served and those waiting.
  size_t open() const;
  size_t open_of(const std::string& address) const;
  // A connection waits and will get no thread unless another one gives up its own.
  bool threads_wanted() const {
    return served_.load(std::memory_order_relaxed) >= threads_ && queued_() != 0;
  }

  // No connection is added any more; those there are end soon.
  void stop_all();
  // False when some are left after `patience`.
  bool wait_empty(std::chrono::milliseconds patience);
  void abort_all();

 private:
  mutable std::mutex mutex_;
  std::condition_variable empty_;
  std::unordered_set<Connection*> connections_;
  std::map<std::string, size_t> by_address_;
  bool stopping_ = false;
  std::atomic<uint64_t> served_{0};  // connections_.size()
  const uint64_t threads_;
  const std::function<int()> queued_;
};

}  // namespace kvstore::http
