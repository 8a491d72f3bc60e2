// Hashes views of the state in the background.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "kv/state_hash.hpp"
#include "node/runtime/fatal.hpp"
#include "node/runtime/worker.hpp"

namespace kvstore::node::runtime {

class StateHasher {
 public:
  using Report = std::function<void(const kv::StateHash&)>;

  ~StateHasher() { stop(); }

  // Both run on the hasher's thread.
  void start(Report report, FatalFn fatal);
  void stop();

  // At most one view waits behind the one that is being read; another is dropped, and its hash
  // never reported.
  void add(std::unique_ptr<kv::View> view);

 private:
  Worker<std::shared_ptr<kv::View>> worker_;
  std::atomic<bool> stopping_{false};
};

}  // namespace kvstore::node::runtime
