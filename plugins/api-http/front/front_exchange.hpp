// The exchange of a front that gives every request a thread: that thread waits here, and runs what
// the handler posts.  A request that waits for long can go on without it: it is parked, and gets a
// thread again when there is something to do.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "exchange.hpp"

namespace kvstore::http {

// Where the rest of a request's body comes from; may block.
class BodyFeed {
 public:
  // Calls done(piece) with the next piece.
  virtual void next(UniqueFunction<void(const BodyPiece&)>& done) = 0;

 protected:
  ~BodyFeed() = default;
};

class FrontExchange final : public Exchange, public std::enable_shared_from_this<FrontExchange> {
 public:
  static std::shared_ptr<FrontExchange> make() { return std::make_shared<FrontExchange>(); }

  // What handlers get: when the last copy goes and there is no answer, there never will be, and the
  // client gets 500.
  ExchangePtr handle();

  void respond(Response response) override;
  using Exchange::respond;
  void post(UniqueFunction<void()> task) override;
  void read_body(UniqueFunction<void(const BodyPiece&)> done) override;

  // ---- of the one who has the request: its thread, or whoever parks it

  // Runs tasks and feeds the body until there is an answer; nothing when for `patience` there was
  // nothing to do.
  std::optional<Response> wait(BodyFeed* feed, std::chrono::milliseconds patience);

  // From now on `wake` is called, once, when something changes: on any thread, maybe before this
  // returns.  What has changed before is seen by next() alone.
  void park(UniqueFunction<void()> wake);
  // No wake begins any more.
  void unpark();
  enum class Next : uint8_t {
    kNothing,  // to do yet
    kAnswer,   // is there, and can be sent without blocking on anything but the client
    kThread,   // is needed: for a task, the body, or an answer that is pulled from a source
  };
  Next next() const;
  // Of an exchange that was answered.
  Response take_answer();
  // Nobody will take an answer: what was not run yet is destroyed, and so is what comes later.
  void give_up();

 private:
  void abandon() noexcept;
  // Runs fn under the lock unless there is an answer, and wakes who waits.
  template <typename Fn>
  void change(Fn&& fn);
  Response take(std::unique_lock<std::mutex> lock);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<UniqueFunction<void()>> tasks_;
  UniqueFunction<void(const BodyPiece&)> body_wanted_;
  UniqueFunction<void()> wake_;  // of a parked request
  std::optional<Response> response_;
  bool answered_ = false;  // response_ was set, if only to be taken away
};

}  // namespace kvstore::http
