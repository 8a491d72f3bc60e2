// Sockets that are fed with a whole input before the code under test reads them.
#pragma once

#include <cstdlib>
#include <string>
#include <utility>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.hpp"
#include "base/bytes.hpp"

namespace kvstore::fuzz {

inline void send_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

// A connected pair of local sockets: first the one to be read, second the feeding end.
inline std::pair<int, int> local_pair() {
  int fds[2];
  KVS_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  return {fds[0], fds[1]};
}

// The same over TCP on loopback, for code that asks for the peer's address.
class TcpPairs {
 public:
  TcpPairs() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    KVS_ASSERT(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    KVS_ASSERT(::listen(listener_, 16) == 0);
    socklen_t length = sizeof address_;
    KVS_ASSERT(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &length) == 0);
  }
  ~TcpPairs() { ::close(listener_); }
  TcpPairs(const TcpPairs&) = delete;
  TcpPairs& operator=(const TcpPairs&) = delete;

  uint16_t port() const { return ntohs(address_.sin_port); }
  int accept() const { return ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); }

  // First the accepted end, second the connecting one.  Closing either leaves no TIME_WAIT.
  std::pair<int, int> make() const {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto* address = reinterpret_cast<const sockaddr*>(&address_);
    KVS_ASSERT(::connect(client, address, sizeof address_) == 0);
    const int server = accept();
    KVS_ASSERT(server >= 0);
    return {server, client};
  }

 private:
  int listener_;
  sockaddr_in address_{};
};

// Without it ten thousands of connections a second use up the ports.
inline void close_at_once(int fd) {
  const linger now{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
}

}  // namespace kvstore::fuzz
