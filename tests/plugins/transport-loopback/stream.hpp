// One outgoing bulk stream.  A thread of its own calls the receiving host, so that the sender's
// timeouts hold although the receiver may block; one chunk is under way at a time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "instance.hpp"

namespace kvstore::loopback {

class TxStream {
 public:
  TxStream(Shared& shared, std::shared_ptr<Endpoint> remote);
  ~TxStream();  // waits for the receiver to return

  // These return what the receiver said, TIMEOUT, or CLOSED after cancel(); a failed stream stays
  // failed.
  kvs_status open(kvs_node_id to, std::string header, uint64_t total, uint32_t timeout_ms,
                  kvs_error* err);
  kvs_status write(std::string chunk, uint32_t timeout_ms, kvs_error* err);
  kvs_status finish(uint32_t timeout_ms, kvs_error* err);
  // The receiver is told to abort, unless it was told to finish; returns at once.
  void leave();
  void cancel();
  // The receiver has let go: the destructor does not wait.
  bool ended() const;
  void wait_ended();

 private:
  using Work = std::function<kvs_status()>;
  kvs_status call(Work work, uint32_t timeout_ms, kvs_error* err);
  void run();

  Shared& shared_;
  const std::shared_ptr<Endpoint> remote_;
  std::shared_ptr<Endpoint::Receiver> receiver_;  // the thread's, once it runs
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Work work_;
  kvs_status failed_ = KVS_OK;
  bool cancelled_ = false;
  bool leaving_ = false;
  bool answered_ = false;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace kvstore::loopback
