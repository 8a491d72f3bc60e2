// The inside of a CancelToken: wakes calls that sleep and shuts the sockets they wait on.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

#include <kvstore/client/limits.hpp>

namespace kvstore::client {

class CancelState {
 public:
  void cancel();
  bool is_cancelled() const;
  // Sleeps for `time`, shorter when cancelled.
  void sleep(std::chrono::milliseconds time);

 private:
  friend class CancelGuard;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool cancelled_ = false;
  std::vector<int> sockets_;  // duplicates, so that none is closed and its number used again
};

// While it lives, cancelling shuts the socket down.
class CancelGuard {
 public:
  // Null state: does nothing.
  CancelGuard(CancelState* state, int socket);
  ~CancelGuard();
  CancelGuard(const CancelGuard&) = delete;
  CancelGuard& operator=(const CancelGuard&) = delete;

 private:
  CancelState* state_;
  int duplicate_ = -1;
};

}  // namespace kvstore::client
