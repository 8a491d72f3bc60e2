#include "front/client_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <poll.h>
#include <sys/socket.h>

namespace kvstore::http {

void ClientSocket::set_idle_slice(uint64_t wait_ms) {
  timeval tv{};
  tv.tv_sec = static_cast<time_t>(wait_ms / 1000);
  tv.tv_usec = static_cast<suseconds_t>(wait_ms % 1000 * 1000);
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
}

ClientSocket::Io ClientSocket::receive_idle(char* to, size_t room, size_t* got) {
  while (true) {
    const ssize_t n = ::recv(fd_, to, room, 0);
    if (n > 0) {
      *got = static_cast<size_t>(n);
      return Io::kOk;
    }
    if (n == 0) return Io::kEnd;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Io::kTimeout;
    if (errno != EINTR) return Io::kFailed;
  }
}

ClientSocket::Io ClientSocket::receive(char* to, size_t room, size_t* got, Patience* patience) {
  while (true) {
    const ssize_t n = ::recv(fd_, to, room, MSG_DONTWAIT);
    if (n > 0) {
      *got = static_cast<size_t>(n);
      patience->moved(*got);
      return Io::kOk;
    }
    if (n == 0) return Io::kEnd;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return Io::kFailed;
    const Io ready = wait(POLLIN, patience);
    if (ready != Io::kOk) return ready;
  }
}

ClientSocket::Io ClientSocket::send(std::span<iovec> parts, Patience* patience) {
  while (!parts.empty()) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t n = ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return Io::kFailed;
      const Io ready = wait(POLLOUT, patience);
      if (ready != Io::kOk) return ready;
      continue;
    }
    auto left = static_cast<size_t>(n);
    patience->moved(left);
    while (!parts.empty() && left >= parts.front().iov_len) {
      left -= parts.front().iov_len;
      parts = parts.subspan(1);
    }
    if (!parts.empty()) {
      parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + left;
      parts.front().iov_len -= left;
    }
  }
  return Io::kOk;
}

ClientSocket::Io ClientSocket::send(std::string_view bytes, Patience* patience) {
  if (bytes.empty()) return Io::kOk;
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return send(std::span<iovec>(&part, 1), patience);
}

ClientSocket::Io ClientSocket::wait(short events, Patience* patience) {
  const uint64_t left = patience->left_ms();
  if (left == 0) return Io::kTimeout;
  pollfd entry{fd_, events, 0};
  const uint64_t began = host_.now_ns();
  const int n = ::poll(&entry, 1, static_cast<int>(std::min<uint64_t>(left, INT_MAX)));
  patience->waited(host_.now_ns() - began);
  if (n < 0 && errno != EINTR) return Io::kFailed;
  return Io::kOk;
}

void ClientSocket::shut_receiving() const {
  ::shutdown(fd_, SHUT_RD);
}
void ClientSocket::shut_sending() const {
  ::shutdown(fd_, SHUT_WR);
}
void ClientSocket::shut_both() const {
  ::shutdown(fd_, SHUT_RDWR);
}

}  // namespace kvstore::http
