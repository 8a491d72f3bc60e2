#include "socket.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>

#include <kvstore/sdk/guard.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kvstore::transport_thrift {

namespace {

constexpr int kBacklog = 128;

using AddrInfo = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

struct FdGuard {
  int fd;
  ~FdGuard() {
    if (fd >= 0) ::close(fd);
  }
  int take() { return std::exchange(fd, -1); }
};

std::string cause(int error) {
  return std::strerror(error);
}

AddrInfo resolve(const Address& address, int flags, kvs_status code) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int rc = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (rc != 0) {
    std::string why = rc == EAI_SYSTEM ? cause(errno) : gai_strerror(rc);
    throw sdk::Error(code, address.text() + ": cannot resolve '" + address.host + "': " + why);
  }
  return {found, &freeaddrinfo};
}

void set_int(int fd, int level, int name, int value) noexcept {
  setsockopt(fd, level, name, &value, sizeof value);
}

// 0 when connected, else an errno; ETIMEDOUT and ECANCELED as their names say.
int finish_connect(int fd, uint32_t timeout_ms, int wake_fd) {
  pollfd polled[2] = {{fd, POLLOUT, 0}, {wake_fd, POLLIN, 0}};
  int ready = 0;
  do {
    ready = poll(polled, 2, static_cast<int>(timeout_ms));
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return errno;
  if (ready == 0) return ETIMEDOUT;
  if (polled[1].revents != 0) return ECANCELED;
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

int connect_one(const addrinfo& to, uint32_t timeout_ms, int wake_fd, int* error) {
  FdGuard fd{socket(to.ai_family, to.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, to.ai_protocol)};
  *error = fd.fd < 0 ? errno : 0;
  if (*error != 0) return -1;
  if (connect(fd.fd, to.ai_addr, to.ai_addrlen) != 0) {
    *error = errno == EINPROGRESS ? finish_connect(fd.fd, timeout_ms, wake_fd) : errno;
    if (*error != 0) return -1;
  }
  fcntl(fd.fd, F_SETFL, fcntl(fd.fd, F_GETFL, 0) & ~O_NONBLOCK);
  return fd.take();
}

uint16_t bound_port(int fd) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length);
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
}

}  // namespace

std::string Address::text() const {
  bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Address parse_address(std::string_view text) {
  auto bad = [&](const char* why) {
    return sdk::Error(KVS_E_INVALID, "address '" + std::string(text) + "': " + why);
  };
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) throw bad("expected host:port");
  std::string_view host = text.substr(0, colon);
  std::string_view digits = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos) throw bad("brackets are for IPv6 addresses");
  } else if (host.find(':') != std::string_view::npos) {
    throw bad("an IPv6 address stands in brackets, as in [::1]:7000");
  }
  if (host.empty()) throw bad("the host is missing");
  if (host.find('\0') != std::string_view::npos) throw bad("the host contains a NUL byte");
  unsigned port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port > 65535) {
    throw bad("the port is not a number from 0 to 65535");
  }
  return {std::string(host), static_cast<uint16_t>(port)};
}

WakeFd::WakeFd() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (fd_ < 0) throw sdk::Error(KVS_E_IO, "eventfd: " + cause(errno), errno);
}
WakeFd::~WakeFd() {
  ::close(fd_);
}

void WakeFd::notify() noexcept {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = ::write(fd_, &one, sizeof one);  // full means: already awake
}
void WakeFd::drain() noexcept {
  uint64_t count = 0;
  [[maybe_unused]] ssize_t n = ::read(fd_, &count, sizeof count);
}

int connect_to(const Address& address, uint32_t timeout_ms, int wake_fd) {
  AddrInfo found = resolve(address, 0, KVS_E_UNREACHABLE);
  int error = 0;
  for (const addrinfo* to = found.get(); to != nullptr; to = to->ai_next) {
    int fd = connect_one(*to, timeout_ms, wake_fd, &error);
    if (fd >= 0) return fd;
    if (error == ECANCELED) throw sdk::Error(KVS_E_CANCELLED, address.text() + ": cancelled");
  }
  kvs_status code = error == ETIMEDOUT ? KVS_E_TIMEOUT : KVS_E_UNREACHABLE;
  throw sdk::Error(code, address.text() + ": cannot connect: " + cause(error), error);
}

Listener listen_on(const Address& address) {
  AddrInfo found = resolve(address, AI_PASSIVE, KVS_E_INVALID);
  const addrinfo& at = *found;
  auto failed = [&](const char* what, int error) {
    return sdk::Error(KVS_E_IO,
                      "cannot " + std::string(what) + " " + address.text() + ": " + cause(error),
                      error);
  };
  FdGuard fd{socket(at.ai_family, at.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at.ai_protocol)};
  if (fd.fd < 0) throw failed("make a socket for", errno);
  set_int(fd.fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (at.ai_family == AF_INET6) set_int(fd.fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (bind(fd.fd, at.ai_addr, at.ai_addrlen) != 0) throw failed("listen on", errno);
  if (listen(fd.fd, kBacklog) != 0) throw failed("listen on", errno);
  uint16_t port = bound_port(fd.fd);
  return {fd.take(), port};
}

void tune(int fd, uint32_t dead_ms) noexcept {
  int interval_s = static_cast<int>(std::max<uint32_t>(1, dead_ms / 4000));
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, interval_s);
  set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
  set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(dead_ms));
}

std::string remote_text(int fd) {
  sockaddr_storage remote{};
  socklen_t length = sizeof remote;
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&remote), &length) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&remote), length, host, sizeof host, port,
                  sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "unknown";
  }
  bool v6 = remote.ss_family == AF_INET6;
  return (v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + port;
}

}  // namespace kvstore::transport_thrift
