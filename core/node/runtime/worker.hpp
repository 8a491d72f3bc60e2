// One thread that takes tasks from a queue in batches.
#pragma once

#include <cstddef>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

#include "base/bounded_queue.hpp"

namespace kvstore::node::runtime {

// Lifecycle: start() .. stop(); stop() lets the thread finish what is queued, unless `run` was told
// to give up.
template <typename Task>
class Worker {
 public:
  // Bounds come from what feeds the queue (in-flight limits of consensus), so the queue itself has
  // none.
  Worker() : queue_(SIZE_MAX, SIZE_MAX) {}
  ~Worker() { stop(); }

  // `run` gets every queued task at once.  `name` is the thread's, at most 15 characters.
  void start(const char* name, std::function<void(std::vector<Task>*)> run) {
    thread_ = std::thread([this, name, run = std::move(run)] {
      pthread_setname_np(pthread_self(), name);
      std::vector<Task> batch;
      while (queue_.drain(&batch)) run(&batch);
    });
  }

  // False once stopped.
  bool push(Task task) { return queue_.push_unbounded(std::move(task)); }
  size_t waiting() const { return queue_.size(); }

  void stop() {
    queue_.close();
    if (thread_.joinable()) thread_.join();
  }

 private:
  BoundedQueue<Task> queue_;
  std::thread thread_;
};

}  // namespace kvstore::node::runtime
