// One accepted connection: reads, answers the hello and the calls of a stream, hands messages to
// the host.
//
// Lifecycle: construct, run() on its own thread until the connection ends, destroy.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "PeerLink.h"
#include "batch.hpp"
#include "context.hpp"
#include "frame_transport.hpp"

namespace kvstore::transport_thrift {

class Incoming : public wire::PeerLinkNull {
 public:
  // Takes the descriptor.  on_greeted is told which peer has dialled its control lane.
  Incoming(Context& context, int fd, std::function<void(kvs_node_id)> on_greeted);

  void run();
  // [any-thread] Makes run() return soon.
  void interrupt() noexcept;
  // [any-thread] The peer that was accepted, or 0.
  kvs_node_id peer() const noexcept { return peer_.load(std::memory_order_acquire); }

  // Calls of the other side; false: the connection must be closed.
  bool handle_deliver(apache::thrift::protocol::TProtocol& in);
  bool expects(const std::string& call) const;

  // wire::PeerLinkIf
  void hello(wire::Answer& answer, const wire::Hello& theirs) override;
  void refuse(const int32_t status, const std::string& message) override;
  void streamOpen(wire::Answer& answer, const std::string& header, const int64_t total) override;
  void streamChunk(wire::Answer& answer, const std::string& data) override;
  void streamFinish(wire::Answer& answer) override;
  void streamAbort() override;

 private:
  void serve();
  void greet(wire::Answer& answer, const wire::Hello& theirs);
  void open_stream(wire::Answer& answer, const std::string& header, uint64_t total);
  void end_stream(kvs_status why);

  Context& context_;
  const std::function<void(kvs_node_id)> on_greeted_;
  std::shared_ptr<FrameTransport> transport_;
  std::shared_ptr<Protocol> protocol_;
  const std::string remote_;
  std::atomic<kvs_node_id> peer_{0};
  std::atomic<bool> interrupted_{false};
  int32_t kind_ = 0;
  bool ending_ = false;  // answer the call at hand, then close
  bool streaming_ = false;
  kvs_rx_stream stream_{};
  std::vector<kvs_rx_message> messages_;
};

}  // namespace kvstore::transport_thrift
