// The C++ face of kvstore.transport/1: messages and bulk streams between nodes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <kvstore/abi/transport.h>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "plugin/options.hpp"

namespace kvstore::plugin {

// One received message; the payload keeps the transport's buffer alive.
struct RxMessage {
  kvs_node_id from = 0;
  uint32_t lane = 0;
  uint32_t flags = 0;
  SharedBytes payload;
};

// One message to send: `head` then `body` on the wire; either may be empty.  Nothing is copied: an
// accepted message keeps the owners of both alive until the transport is done with it.
struct TxMessage {
  SharedBytes head;
  SharedBytes body;
};

// Receives one incoming bulk stream on the transport's thread.  write() may block: that is the
// back-pressure.  Exactly one of finish() and abort() ends it, then it is destroyed; a status of
// finish() goes to the sender.
class RxStream {
 public:
  virtual ~RxStream() = default;
  virtual Status write(Bytes chunk) = 0;
  virtual Status finish() = 0;
  virtual void abort(Code why) = 0;
};

// What the transport reports.  Called on the plugin's threads, concurrently, between start() and
// stop(); must return fast and never call back into the transport.
class TransportEvents {
 public:
  virtual ~TransportEvents() = default;
  // The messages may be moved from.
  virtual void on_messages(std::span<RxMessage> messages) = 0;
  // The event's slices are borrowed.
  virtual void on_peer(const kvs_peer_event& event) = 0;
  // Judges a connection.  Incoming: returns the id under which its messages are reported; dialled:
  // must return hello.dialed.  A failure closes the connection and its message is told to the other
  // side.
  virtual Result<kvs_node_id> on_hello(const kvs_hello& hello) = 0;
  // Accepts (a receiver) or refuses an incoming stream.
  virtual Result<std::unique_ptr<RxStream>> on_stream(const kvs_stream_info& info) = 0;
};

struct TransportOptions {
  std::string hello;  // ours, opaque to the plugin, <= 4 KiB
  std::string listen_address;
  std::string config_json;
  uint64_t lane_queue_bytes_max = 0;
  uint64_t message_bytes_max = 0;
};

struct TransportHandle;

// An outgoing bulk stream, used by one thread.  Dropping it aborts.  It must end before the
// transport closes.
class TxStream {
 public:
  TxStream(TxStream&& other) noexcept;
  TxStream& operator=(TxStream&& other) noexcept;
  ~TxStream() { abort(); }

  // Blocks up to `timeout_ms` while the receiver is slow.
  Status write(Bytes chunk, uint32_t timeout_ms);
  // OK only after the other host accepted the whole stream.  Whatever it returns, the stream is
  // over.
  Status finish(uint32_t timeout_ms);
  // Idempotent; nothing happens after finish().
  void abort();

 private:
  friend class Transport;
  TxStream(TransportHandle* transport, kvs_tx_stream* stream);
  TransportHandle* transport_;
  kvs_tx_stream* stream_;
};

// Owns one transport instance of a plugin.
//
// Lifecycle: open() binds nothing; start() listens; stop() joins the plugin's threads and may be
// called while events are in flight; close() (or the destructor) stops first if need be.
// Concurrency: open, start, stop, close on the main thread; everything else on any thread.  send()
// never blocks and never calls back.
class Transport {
 public:
  // `events` must outlive the transport.
  static Result<Transport> open(const kvs_transport_api* table, const kvs_host* host,
                                const TransportOptions& options, TransportEvents* events,
                                const ProxyOptions& proxy);
  Transport();
  Transport(Transport&& other) noexcept;
  Transport& operator=(Transport&& other) noexcept;
  ~Transport();

  bool is_open() const { return handle_ != nullptr; }
  Status start();
  void stop();
  void close();

  // Used for later connections.
  Status set_hello(Bytes hello);
  // The real address after start(), e.g. when the port was 0.
  Result<std::string> bound_address() const;
  // A JSON object with figures per peer and lane.
  Result<std::string> stats() const;
  // NULL when the plugin does not offer it.
  const void* get_extension(const char* id) const;

  // Adds or updates a peer; idempotent; a new address reconnects.
  Status peer_set(kvs_node_id id, Bytes address);
  // Drops its queues; idempotent.
  Status peer_remove(kvs_node_id id);

  // Hands over a prefix of `messages`; *accepted says how many.  OK when all were taken, else why
  // not: kBusy (a WRITABLE event follows), kUnreachable, kInvalid (too large), kClosed.
  Status send(kvs_node_id to, uint32_t lane, std::span<const TxMessage> messages,
              uint32_t* accepted);
  // The same for messages whose owners the caller counts itself (kvs_tx_message in transport.h).
  Status send_raw(kvs_node_id to, uint32_t lane, std::span<const kvs_tx_message> messages,
                  uint32_t* accepted);

  // `total_bytes` 0: unknown.  `header` is opaque (at most 4 KiB) and handed to the other host's
  // on_stream.
  Result<TxStream> stream_open(kvs_node_id to, Bytes header, uint64_t total_bytes,
                               uint32_t timeout_ms);

 private:
  std::unique_ptr<TransportHandle> handle_;
};

}  // namespace kvstore::plugin
