// A client's socket with the patience that a server may have: every wait is bounded, and a transfer
// as a whole by its size.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <kvstore/sdk/host.hpp>

#include <sys/uio.h>

namespace kvstore::http {

// Time allowed for one transfer: a fixed part and what its bytes may take at the lowest tolerated
// rate.  Only time spent waiting counts, so that a busy engine is not held against the client.
class Patience {
 public:
  Patience(uint64_t timeout_ms, uint64_t min_bytes_per_second)
      : timeout_ms_(timeout_ms), rate_(min_bytes_per_second) {}
  void moved(uint64_t bytes) { bytes_ += bytes; }
  void waited(uint64_t ns) { waited_ns_ += ns; }
  // What is left of it, at least 0.
  uint64_t left_ms() const {
    const uint64_t allowed = timeout_ms_ + bytes_ * 1000 / rate_;
    const uint64_t used = waited_ns_ / 1'000'000;
    return allowed > used ? allowed - used : 0;
  }

 private:
  const uint64_t timeout_ms_;
  const uint64_t rate_;
  uint64_t bytes_ = 0;
  uint64_t waited_ns_ = 0;
};

// Does not own the descriptor.  One thread at a time, but for shut_*(): [any-thread].
class ClientSocket {
 public:
  enum class Io : uint8_t { kOk, kEnd, kTimeout, kFailed };

  ClientSocket(int fd, const sdk::Host& host) : fd_(fd), host_(host) {}

  // Waits at most wait_ms, in the kernel's receive timeout set by set_idle_slice(), for the first
  // bytes of a request: one system call when they are there.
  void set_idle_slice(uint64_t wait_ms);
  Io receive_idle(char* to, size_t room, size_t* got);
  // Receives at least a byte.
  Io receive(char* to, size_t room, size_t* got, Patience* patience);
  // Sends everything.
  Io send(std::span<iovec> parts, Patience* patience);
  Io send(std::string_view bytes, Patience* patience);

  void shut_receiving() const;
  void shut_sending() const;
  void shut_both() const;

 private:
  Io wait(short events, Patience* patience);

  const int fd_;
  const sdk::Host host_;
};

}  // namespace kvstore::http
