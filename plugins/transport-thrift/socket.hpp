// The few socket calls that Thrift's own classes do not offer in the way a node needs them: a
// connect that another thread can end, errors that name their cause, numeric IPv6 on hosts without
// IPv6 routes, and the options that find dead peers.  Reading and writing is Thrift's TSocket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvstore::transport_thrift {

// "host:port"; an IPv6 address stands in brackets.
struct Address {
  std::string host;
  uint16_t port = 0;

  std::string text() const;
  friend bool operator==(const Address&, const Address&) = default;
};

// Throws sdk::Error(KVS_E_INVALID) that quotes `text`.
Address parse_address(std::string_view text);

// Wakes a poll() from any thread.  The wake-up stays until drain().
class WakeFd {
 public:
  WakeFd();  // throws sdk::Error(KVS_E_IO)
  ~WakeFd();
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;

  void notify() noexcept;
  void drain() noexcept;
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

// Resolves the name now and connects to the first address that answers, giving each at most
// timeout_ms. Readiness of `wake_fd` ends it.  Returns a blocking descriptor.  Throws sdk::Error:
// UNREACHABLE with the cause, TIMEOUT, or CANCELLED when woken.
int connect_to(const Address& address, uint32_t timeout_ms, int wake_fd);

struct Listener {
  int fd = -1;
  uint16_t port = 0;  // the one really bound
};

// Binds and listens.  Throws sdk::Error(KVS_E_IO or KVS_E_INVALID) that names the address and the
// cause.
Listener listen_on(const Address& address);

// No delay, keep-alive probes, and an error on the socket once the other side has been silent to
// probes or data for dead_ms.  Best effort.
void tune(int fd, uint32_t dead_ms) noexcept;

// "ip:port" of the other end, or "unknown".
std::string remote_text(int fd);

}  // namespace kvstore::transport_thrift
