// What ends a call early: a deadline, or somebody who has lost interest.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

namespace kvstore::client {

class CancelState;

// Cancels the calls that it was given to, for good.  Copies are the same token.
//
// A cancelled call ends at once, also while it waits for an answer; only connecting is waited for,
// 2 s at most.  It ends with kCancelled when it certainly had no effect, and a write that was sent
// with kUnknownOutcome.
//
// Threads: cancel() and is_cancelled() from any, at any time.
class CancelToken {
 public:
  CancelToken();
  void cancel() const;
  bool is_cancelled() const;

  // Of the library's own use.
  CancelState& state() const { return *state_; }

 private:
  std::shared_ptr<CancelState> state_;
};

// Of one or more calls, beside the timeout of the client's options.
struct CallLimits {
  // The calls end here even when their timeout is not over.  Unset: the timeout alone counts.
  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::optional<CancelToken> cancel;
};

}  // namespace kvstore::client
