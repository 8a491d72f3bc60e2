// What all parts of one transport instance share: settings, the host and its callbacks, counters.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include <kvstore/abi/transport.h>
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/host.hpp>
#include <kvstore/sdk/slice.hpp>

#include "settings.hpp"

namespace kvstore::transport_thrift {

inline constexpr int32_t kProtocolVersion = 1;
inline constexpr int32_t kStreamKind = 255;  // lanes use their own number

// The other host, or ours, did not accept the hello.
class Refused : public sdk::Error {
 public:
  using sdk::Error::Error;
};

// What another node said, as far as it can be a kvs_status: a host never gets a number of a
// stranger's making.
inline kvs_status checked_status(int32_t status) {
  switch (status) {
    case KVS_OK:
    case KVS_E_INVALID:
    case KVS_E_UNSUPPORTED:
    case KVS_E_INCOMPATIBLE:
    case KVS_E_NOT_FOUND:
    case KVS_E_END:
    case KVS_E_COMPACTED:
    case KVS_E_CONFLICT:
    case KVS_E_NOT_LEADER:
    case KVS_E_BUSY:
    case KVS_E_TIMEOUT:
    case KVS_E_UNREACHABLE:
    case KVS_E_INDETERMINATE:
    case KVS_E_CANCELLED:
    case KVS_E_CLOSED:
    case KVS_E_NO_MEMORY:
    case KVS_E_NO_SPACE:
    case KVS_E_IO:
    case KVS_E_CORRUPT:
    case KVS_E_INTERNAL:
      return status;
    default:
      return KVS_E_INCOMPATIBLE;
  }
}

struct Counters {
  std::atomic<uint64_t> messages_sent{0}, messages_received{0};
  std::atomic<uint64_t> frames_sent{0}, frames_received{0};
  std::atomic<uint64_t> bytes_sent{0}, bytes_received{0};
  std::atomic<uint64_t> messages_dropped{0};    // accepted, then dropped with their session
  std::atomic<uint64_t> sends_refused{0};       // BUSY
  std::atomic<uint64_t> sessions{0};            // begun
  std::atomic<uint64_t> hellos_refused{0};      // on either side
  std::atomic<uint64_t> connections_closed{0};  // incoming: bad frame, late hello, too many
};

class Context {
 public:
  Context(const kvs_host* raw_host, const kvs_transport_options& options)
      : host(raw_host),
        settings(Settings::read(options)),
        events(sdk::copy_options(options.events)),
        hello_(checked(options.hello)) {}

  std::string hello() const {
    std::lock_guard lock(mutex_);
    return hello_;
  }
  void set_hello(const kvs_slice& hello) {
    std::string next = checked(hello);
    std::lock_guard lock(mutex_);
    hello_ = std::move(next);
  }

  uint64_t deadline_in(uint64_t ms) const noexcept { return host.now_ns() + ms * 1'000'000; }

  // For complaints that strangers can cause: at most one line a second, the others only at DEBUG.
  void complain(const std::string& line) noexcept {
    uint64_t now = host.now_ns();
    uint64_t last = last_complaint_ns_.load(std::memory_order_relaxed);
    bool loud = (last == 0 || now - last > 1'000'000'000) &&
                last_complaint_ns_.compare_exchange_strong(last, now, std::memory_order_relaxed);
    host.log(loud ? KVS_LEVEL_WARN : KVS_LEVEL_DEBUG, line);
  }

  // Asks the host about a hello and returns the peer it belongs to.  Throws Refused with the host's
  // words.
  kvs_node_id judge(bool incoming, kvs_node_id dialed, const std::string& remote,
                    const std::string& remote_address) {
    if (remote.size() > kHelloBytesMax) {
      throw Refused(KVS_E_INVALID,
                    "the hello is larger than " + std::to_string(kHelloBytesMax) + " bytes");
    }
    kvs_hello h{};
    h.struct_size = sizeof h;
    h.incoming = incoming ? 1 : 0;
    h.dialed = dialed;
    h.remote = sdk::slice(remote);
    h.remote_address = sdk::slice(remote_address);
    kvs_node_id peer = dialed;
    kvs_error err = sdk::make_error();
    kvs_status s = events.on_hello(events.ctx, &h, &peer, &err);
    if (s != KVS_OK) throw Refused(s, err.message[0] != '\0' ? err.message : "refused by the host");
    if (peer == 0 || (!incoming && peer != dialed)) {
      host.log(KVS_LEVEL_HOST_BUG,
               "on_hello accepted a connection but named no peer, or another one");
      throw Refused(KVS_E_INTERNAL, "the host accepted the hello without naming the peer");
    }
    return peer;
  }

  const sdk::Host host;
  const Settings settings;
  const kvs_transport_events events;
  Counters counters;
  std::atomic<uint64_t> next_session{1};
  std::atomic<uint32_t> incoming_streams{0};

 private:
  static std::string checked(const kvs_slice& hello) {
    if (hello.len > kHelloBytesMax) {
      throw sdk::Error(KVS_E_INVALID, "hello: " + std::to_string(hello.len) +
                                          " bytes, the limit is " + std::to_string(kHelloBytesMax));
    }
    return std::string(sdk::view(hello));
  }

  mutable std::mutex mutex_;
  std::string hello_;
  std::atomic<uint64_t> last_complaint_ns_{0};
};

}  // namespace kvstore::transport_thrift
