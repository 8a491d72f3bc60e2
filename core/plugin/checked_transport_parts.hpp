// The objects behind the transport proxy's handles (internal to the proxy).
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <kvstore/abi/transport.h>

#include "plugin/probe.hpp"

namespace kvstore::plugin::checked_transport {

inline constexpr uint64_t kHelloBytesMax = 4096;
inline constexpr uint64_t kChunkBytesMax = (1 << 20) + (64 << 10);

enum Call : size_t {
  kOpen,
  kStart,
  kStop,
  kSetHello,
  kBoundAddress,
  kStats,
  kPeerSet,
  kPeerRemove,
  kSend,
  kStreamOpen,
  kStreamWrite,
  kStreamFinish,
  kCallCount
};
inline constexpr const char* kCallNames[kCallCount] = {
    "open",     "start",       "stop", "set_hello",   "bound_address", "stats",
    "peer_set", "peer_remove", "send", "stream_open", "stream_write",  "stream_finish"};

struct CheckedTransport;

// A message on its way: what the host wants released.
struct TxTicket {
  void* owner = nullptr;
  void (*release)(void* owner) KVS_NOEXCEPT = nullptr;
  bool sending = true;    // inside send(): whether it is accepted is not known yet
  bool released = false;  // while sending
};

// A stream on its way in.
struct RxTicket {
  CheckedTransport* transport = nullptr;
  kvs_rx_stream host{};
};

// What the plugin gets instead of the host's pointers: numbers that are never used again, so that a
// second release is recognised whatever the memory holds by then.  One per transport; the number of
// the transport is in the upper bits.
class Tickets {
 public:
  explicit Tickets(CheckedTransport* transport);
  ~Tickets();
  Tickets(const Tickets&) = delete;
  Tickets& operator=(const Tickets&) = delete;

  void* issue_message(void* owner, void (*release)(void*) KVS_NOEXCEPT);
  // After send(): accepted ones stay out until released; false when a refused one was released.
  bool settle_message(void* ticket, bool accepted);
  size_t messages_out();

  void* issue_stream(const kvs_rx_stream& host);
  size_t streams_in();

  // What the plugin calls.
  static void release_message(void* ticket) KVS_NOEXCEPT;
  // The stream of a ticket; `last` ends it.  nullptr (and a report) when it has ended already.
  static std::shared_ptr<RxTicket> stream(void* ticket, const char* call, bool last);

 private:
  void* next_ticket();
  void report(const char* call, const char* what);

  CheckedTransport* const transport_;
  const uint64_t number_;
  std::mutex mutex_;  // guards what follows
  uint64_t next_ = 1;
  std::unordered_map<void*, TxTicket> messages_;
  std::unordered_map<void*, std::shared_ptr<RxTicket>> streams_;
};

struct CheckedTransport {
  CheckedTransport(const kvs_transport_api* t, const kvs_host* host, const ProxyOptions& options)
      : table(t), probe(host, options, "transport", kCallNames), tickets(this) {}

  const kvs_transport_api* const table;
  kvs_transport* inner = nullptr;
  const Probe probe;
  const kvs_transport_events* host_events = nullptr;
  kvs_transport_events events{};  // ours, given to the plugin
  uint64_t message_bytes_max = 0;
  std::atomic<bool> running{false};  // events are legal
  std::atomic<int> streams{0};       // outgoing
  Tickets tickets;
  std::mutex mutex;                          // guards sessions
  std::map<kvs_node_id, uint64_t> sessions;  // the newest of each peer
};

// The transport whose send() the calling thread is in: it must not call back.
inline thread_local const CheckedTransport* t_sending = nullptr;

// Our events for the plugin (checked_events.cpp).
kvs_transport_events make_events(CheckedTransport* transport);

}  // namespace kvstore::plugin::checked_transport
