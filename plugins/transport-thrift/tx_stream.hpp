// One outgoing bulk stream: a connection of its own with ordinary two-way calls, so that the
// receiver's pace is the sender's, and nothing is buffered but one chunk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "channel.hpp"
#include "context.hpp"

namespace kvstore::transport_thrift {

// Concurrency: one thread at a time; cancel() from any.  A stream that failed once keeps failing
// the same way.
class TxStream {
 public:
  explicit TxStream(Context& context) : context_(context) {}

  // These throw sdk::Error: TIMEOUT, UNREACHABLE, CLOSED after cancel(), or what the other host
  // said.
  void open(kvs_node_id to, const Address& address, const kvs_slice& header, uint64_t total_bytes,
            uint32_t timeout_ms);
  void write(const kvs_slice& chunk, uint32_t timeout_ms);
  void finish(uint32_t timeout_ms);
  // Tells the other side, if that is possible at once.
  void abort() noexcept;

  // Everything pending and later fails with CLOSED.
  void cancel() { interrupt_.cancel(); }

 private:
  template <typename Fn>
  void guarded(Fn&& fn);
  void accept(const wire::Answer& answer, const char* what);

  Context& context_;
  Interrupt interrupt_;
  std::shared_ptr<Channel> channel_;
  std::string chunk_;
  kvs_status failed_ = KVS_OK;
  std::string failure_;
};

}  // namespace kvstore::transport_thrift
