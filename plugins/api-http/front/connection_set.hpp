// The open connections of one server, and whether threads are scarce.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "load.hpp"

namespace kvstore::http {

class Connection;

// A connection enters when it is accepted and leaves before its descriptor is closed; meanwhile it
// has a thread (dispatched, then add() to remove()), waits in the lobby, or is the streams'.
//
// Concurrency: [any-thread].
class ConnectionSet {
 public:
  // How long an idle connection keeps its thread before it looks whether threads are scarce.
  static constexpr uint64_t kIdleSliceMs = 500;

  ConnectionSet(uint64_t threads, Load* shown) : threads_(threads), shown_(shown) {}

  void enter(int fd, const std::string& address);
  void leave(int fd);
  // It carries a watch or a request that waits without a thread, which other bounds are for, or not
  // any more.
  void set_apart(int fd, bool apart);
  // Without those that are apart.
  size_t open() const;
  size_t open_of(const std::string& address) const;

  // A thread was asked for; remove() or lost() gives it back.
  void dispatched() { busy_.fetch_add(1, std::memory_order_relaxed); }
  void lost() { busy_.fetch_sub(1, std::memory_order_relaxed); }
  // The last quarter of the threads is for requests that are there, not for clients to wait for.
  bool threads_are_scarce() const {
    return busy_.load(std::memory_order_relaxed) * 4 >= threads_ * 3;
  }

  // False when the server stops: the connection must end.
  bool add(Connection* connection);
  void remove(Connection* connection);

  // No connection is added any more; those there are end soon.
  void stop_all();
  // False when some are left after `patience`.
  bool wait_empty(std::chrono::milliseconds patience);
  void abort_all();

 private:
  mutable std::mutex mutex_;
  std::condition_variable empty_;
  struct Open {
    std::string address;  // of the client
    bool apart = false;
  };
  std::unordered_map<int, Open> open_;  // by descriptor
  size_t apart_ = 0;
  std::map<std::string, size_t> by_address_;
  std::unordered_set<Connection*> connections_;  // those with a thread
  bool stopping_ = false;
  std::atomic<uint64_t> busy_{0};
  const uint64_t threads_;
  Load* const shown_;  // open(), for the metrics
};

}  // namespace kvstore::http
