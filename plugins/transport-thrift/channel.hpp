// The dialling side of one connection: connected, greeted, then used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "PeerLink.h"
#include "batch.hpp"
#include "context.hpp"
#include "frame_transport.hpp"
#include "socket.hpp"

namespace kvstore::transport_thrift {

// Concurrency: interrupt() from any thread, all else from the one thread that uses the channel at a
// time.
class Channel {
 public:
  // Takes the connected descriptor.
  Channel(Context& context, int fd);

  // Runs fn(client) with this deadline (ns), which ends with the call, and turns Thrift's
  // exceptions into sdk::Error: TIMEOUT or UNREACHABLE.
  template <typename Fn>
  void call(uint64_t deadline_ns, Fn&& fn) {
    transport_->set_deadline(deadline_ns);
    try {
      fn(client_);
      transport_->set_deadline(0);
    } catch (const std::exception&) {
      rethrow_as_error();
    }
  }

  // Throws TException.
  void deliver(std::span<const QueuedMessage> messages) {
    write_deliver(*protocol_, *transport_, messages);
  }

  // Makes every pending and later call fail at once.
  void interrupt() noexcept;
  int fd() const noexcept { return transport_->fd(); }

 private:
  [[noreturn]] static void rethrow_as_error();

  std::shared_ptr<FrameTransport> transport_;
  std::shared_ptr<Protocol> protocol_;
  wire::PeerLinkClient client_;
};

// Ends the waiting of one dialling or calling thread from another thread, once and for all or only
// for what is attached now.
class Interrupt {
 public:
  WakeFd& wake() noexcept { return wake_; }
  // False when cancelled: then the channel was interrupted.
  bool attach(const std::shared_ptr<Channel>& channel);
  void detach_all();
  // Interrupts what is attached; later channels may be attached again.
  void interrupt_attached();
  // For good.
  void cancel();
  bool cancelled() const;

 private:
  WakeFd wake_;
  mutable std::mutex mutex_;
  bool cancelled_ = false;
  std::vector<std::shared_ptr<Channel>> attached_;
};

// Connects to `address`, exchanges hellos for `kind` (a lane or kStreamKind) and lets the host
// judge the answer.  Throws Refused when either host said no, else sdk::Error.  deadline_ns bounds
// everything but the name lookup.
std::shared_ptr<Channel> dial(Context& context, Interrupt& interrupt, kvs_node_id id,
                              const Address& address, int32_t kind, uint64_t deadline_ns);

}  // namespace kvstore::transport_thrift
