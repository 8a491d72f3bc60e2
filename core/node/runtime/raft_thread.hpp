// The thread that owns the Node: an Asio loop with a tick timer and an inbox.
//
// Lifecycle: start() once a Node is attached; stop() joins.  What is posted before start() waits;
// what is posted after stop() is dropped, requests among it are ended as cancelled. Concurrency:
// every posting function is for any thread.  A post wakes the loop only when the inbox was empty;
// the loop takes the whole inbox, runs it, and flushes the Node once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "node/node.hpp"
#include "node/ports.hpp"

namespace kvstore::node::runtime {

struct IncomingMessage {
  raft::NodeId from;
  SharedBytes payload;
};

class RaftThread : public Executor {
 public:
  explicit RaftThread(uint64_t tick_ms);
  ~RaftThread() override;

  // `after_flush` runs on the thread after each round, e.g. to publish metrics.
  void start(Node* node, std::function<void()> after_flush);
  void stop();

  void post(std::function<void()> work) override;
  void post_messages(std::vector<IncomingMessage> messages);
  void submit(ProposalPtr proposal);
  void read(ReadPtr read);
  void control(ControlPtr control);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvstore::node::runtime
