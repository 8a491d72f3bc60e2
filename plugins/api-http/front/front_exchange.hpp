// The exchange of a front that gives every request a thread: that thread waits here, and runs what
// the handler posts.
#pragma once

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

  // The connection's thread only: runs tasks and feeds the body until there is an answer.  The
  // engine completes every call by its deadline, so this ends; a respond() from the outside (the
  // server stops) ends it sooner.
  Response wait(BodyFeed* feed);

 private:
  void abandon() noexcept;
  // Runs fn under the lock unless there is an answer, and wakes the waiting thread.
  template <typename Fn>
  void change(Fn&& fn);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<UniqueFunction<void()>> tasks_;
  UniqueFunction<void(const BodyPiece&)> body_wanted_;
  std::optional<Response> response_;
  bool answered_ = false;  // response_ was set, if only to be taken away by wait()
};

}  // namespace kvstore::http
