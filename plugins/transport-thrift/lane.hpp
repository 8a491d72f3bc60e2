// The outgoing queue of one (peer, lane) and the thread that empties it.
//
// Lifecycle: start() -> any number of open()/close() -> stop().  Each open()..close() is one
// session. Natural batching: what was queued while the previous write ran is the next frame; there
// are no timers. Concurrency: send() from any thread; the others from the peer's link thread and
// Peer::close(), see there.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "channel.hpp"
#include "context.hpp"

namespace kvstore::transport_thrift {

class Lane {
 public:
  // on_failed: the connection broke; on_writable: a queue that refused has room again.  Both are
  // called on the lane's thread without its lock.
  struct Callbacks {
    std::function<void()> on_failed;
    std::function<void(uint64_t session, uint32_t lane)> on_writable;
  };

  Lane(Context& context, uint32_t lane, Callbacks callbacks)
      : context_(context), lane_(lane), callbacks_(std::move(callbacks)) {}

  void start();
  // Ends the thread; the lane must be closed.  Not from the lane's own thread.
  void stop();

  void open(std::shared_ptr<Channel> channel, uint64_t session);
  // Releases everything queued and returns when the writer has let go of what it was writing: the
  // channel must have been interrupted before.  Idempotent.
  void close();

  // See kvs_transport_api::send.
  kvs_status send(const kvs_tx_message* m, uint32_t n, uint32_t* accepted, kvs_error* err);
  uint64_t queued_bytes() const;
  // A write of the current session failed.
  bool failed() const;

 private:
  using Messages = std::vector<QueuedMessage>;

  void run();
  bool write_all(Channel& channel, Messages& messages);
  void account_written(uint64_t bytes);
  kvs_status take(const kvs_tx_message& m, kvs_error* err);

  Context& context_;
  const uint32_t lane_;
  const Callbacks callbacks_;

  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable idle_;
  Messages queue_;
  std::shared_ptr<Channel> channel_;  // null: no session
  uint64_t session_ = 0;
  uint64_t bytes_ = 0;  // charged for what is queued or being written
  bool writing_ = false;
  bool failed_ = false;
  bool owes_writable_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kvstore::transport_thrift
