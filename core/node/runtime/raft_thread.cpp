#include "node/runtime/raft_thread.hpp"

#include <chrono>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <pthread.h>

namespace kvstore::node::runtime {

struct RaftThread::Impl {
  explicit Impl(uint64_t tick) : tick_ms(tick), loop(1), timer(loop) {}

  struct Inbox {
    std::vector<std::function<void()>> work;
    std::vector<IncomingMessage> messages;
    std::vector<ProposalPtr> proposals;
    std::vector<ReadPtr> reads;
    std::vector<ControlPtr> controls;
  };

  // Adds to the inbox under the lock; false when the thread stopped.
  template <typename Fn>
  bool put(Fn fn) {
    bool wake = false;
    {
      std::lock_guard lock(mutex);
      if (stopped) return false;
      fn(&inbox);
      wake = !std::exchange(armed, true);
    }
    if (wake) boost::asio::post(loop, [this] { run_inbox(); });
    return true;
  }

  void run_inbox() {
    Inbox taken;
    {
      std::lock_guard lock(mutex);
      std::swap(taken, inbox);
      armed = false;
    }
    for (auto& work : taken.work) work();
    for (IncomingMessage& m : taken.messages) node->on_message(m.from, m.payload);
    if (!taken.proposals.empty()) node->submit(std::move(taken.proposals));
    if (!taken.reads.empty()) node->read(std::move(taken.reads));
    for (ControlPtr& c : taken.controls) node->control(std::move(c));
    finish_round();
  }

  void finish_round() {
    node->flush();
    if (after_flush) after_flush();
  }

  void arm_timer() {
    timer.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      node->tick();
      finish_round();
      // Missed ticks (a stall, a paused process) are not made up: time jumps, it does not rush.
      auto next = timer.expiry() + std::chrono::milliseconds(tick_ms);
      auto now = std::chrono::steady_clock::now();
      timer.expires_at(next < now ? now + std::chrono::milliseconds(tick_ms) : next);
      arm_timer();
    });
  }

  void run() {
    pthread_setname_np(pthread_self(), "kvs-raft");
    timer.expires_after(std::chrono::milliseconds(tick_ms));
    arm_timer();
    auto guard = boost::asio::make_work_guard(loop);
    loop.run();
  }

  const uint64_t tick_ms;
  boost::asio::io_context loop;
  boost::asio::steady_timer timer;
  std::thread thread;
  Node* node = nullptr;
  std::function<void()> after_flush;
  std::mutex mutex;
  Inbox inbox;
  bool armed = false;
  bool stopped = false;
};

RaftThread::RaftThread(uint64_t tick_ms) : impl_(std::make_unique<Impl>(tick_ms)) {}

RaftThread::~RaftThread() {
  stop();
}

void RaftThread::start(Node* node, std::function<void()> after_flush) {
  impl_->node = node;
  impl_->after_flush = std::move(after_flush);
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void RaftThread::stop() {
  Impl::Inbox rest;
  {
    std::lock_guard lock(impl_->mutex);
    if (std::exchange(impl_->stopped, true)) return;
    std::swap(rest, impl_->inbox);
  }
  impl_->loop.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
  for (ProposalPtr& p : rest.proposals) p->fail(Code::kClosed, "the node stopped", Committed::kNo);
  for (ReadPtr& r : rest.reads) r->fail(Code::kClosed, "the node stopped");
  for (ControlPtr& c : rest.controls) c->finish(Code::kClosed, "the node stopped");
}

void RaftThread::post(std::function<void()> work) {
  impl_->put([&](Impl::Inbox* inbox) { inbox->work.push_back(std::move(work)); });
}

void RaftThread::post_messages(std::vector<IncomingMessage> messages) {
  impl_->put([&](Impl::Inbox* inbox) {
    inbox->messages.insert(inbox->messages.end(), std::make_move_iterator(messages.begin()),
                           std::make_move_iterator(messages.end()));
  });
}

void RaftThread::submit(ProposalPtr proposal) {
  bool taken =
      impl_->put([&](Impl::Inbox* inbox) { inbox->proposals.push_back(std::move(proposal)); });
  if (!taken) proposal->fail(Code::kClosed, "the node stopped", Committed::kNo);
}

void RaftThread::read(ReadPtr read) {
  bool taken = impl_->put([&](Impl::Inbox* inbox) { inbox->reads.push_back(std::move(read)); });
  if (!taken) read->fail(Code::kClosed, "the node stopped");
}

void RaftThread::control(ControlPtr control) {
  bool taken =
      impl_->put([&](Impl::Inbox* inbox) { inbox->controls.push_back(std::move(control)); });
  if (!taken) control->finish(Code::kClosed, "the node stopped");
}

}  // namespace kvstore::node::runtime
