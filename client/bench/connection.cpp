#include "connection.hpp"

#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

namespace kvstore::bench {

Connection::Connection(Connection&& other) noexcept
    : address_(other.address_),
      epoll_fd_(other.epoll_fd_),
      tag_(other.tag_),
      fd_(std::exchange(other.fd_, -1)),
      state_(std::exchange(other.state_, State::kClosed)),
      head_(std::move(other.head_)),
      body_(other.body_),
      sent_(other.sent_),
      answer_(std::move(other.answer_)) {}

Connection::Outcome Connection::connect() {
  fd_ = ::socket(address_.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return fail(Outcome::kConnectFailed);
  const int one = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  const auto* address = reinterpret_cast<const sockaddr*>(&address_.storage);
  if (::connect(fd_, address, address_.bytes) != 0 && errno != EINPROGRESS) {
    return fail(Outcome::kConnectFailed);
  }
  state_ = State::kConnecting;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u32 = tag_;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd_, &event) != 0) {
    return fail(Outcome::kConnectFailed);
  }
  return Outcome::kNothing;
}

Connection::Outcome Connection::finish_connect() {
  int error = 0;
  socklen_t bytes = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &bytes);
  if (error != 0) return fail(Outcome::kConnectFailed);
  sockaddr_storage peer{};
  socklen_t peer_bytes = sizeof peer;
  if (::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &peer_bytes) != 0) {
    return Outcome::kNothing;  // still on its way
  }
  state_ = State::kIdle;
  return Outcome::kConnected;
}

Connection::Outcome Connection::send(const Request& request) {
  head_ = request.head;
  body_ = request.body;
  sent_ = 0;
  answer_.reset();
  state_ = State::kBusy;
  return send_rest() ? Outcome::kNothing : fail(Outcome::kLost);
}

// False when the connection is broken.
bool Connection::send_rest() {
  const size_t total = head_.size() + body_.size();
  while (sent_ < total) {
    iovec parts[2];
    int count = 0;
    if (sent_ < head_.size()) parts[count++] = {head_.data() + sent_, head_.size() - sent_};
    const size_t body_sent = sent_ > head_.size() ? sent_ - head_.size() : 0;
    if (body_sent < body_.size()) {
      parts[count++] = {const_cast<char*>(body_.data()) + body_sent, body_.size() - body_sent};
    }
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = static_cast<size_t>(count);
    const ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN;
    sent_ += static_cast<size_t>(sent);
  }
  return true;
}

Connection::Outcome Connection::handle_events(char* buffer, size_t capacity) {
  switch (state_) {
    case State::kClosed:
      return Outcome::kNothing;
    case State::kConnecting:
      return finish_connect();
    case State::kIdle:
    case State::kBusy:
      break;
  }
  // A server that answers before it has read everything has reason to: look at that first.
  const Outcome outcome = receive(buffer, capacity);
  if (outcome != Outcome::kNothing || state_ != State::kBusy) return outcome;
  return send_rest() ? Outcome::kNothing : fail(Outcome::kLost);
}

Connection::Outcome Connection::receive(char* buffer, size_t capacity) {
  while (true) {
    const ssize_t got = ::recv(fd_, buffer, capacity, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return Outcome::kNothing;
    if (state_ == State::kIdle) return fail(Outcome::kClosedIdle);
    if (got <= 0) return fail(Outcome::kLost);
    switch (answer_.feed({buffer, static_cast<size_t>(got)})) {
      case AnswerReader::State::kMalformed:
        return fail(Outcome::kMalformed);
      case AnswerReader::State::kMore:
        continue;
      case AnswerReader::State::kDone:
        break;
    }
    // An answer to half a request leaves the connection useless.
    const bool reusable = !answer_.closes() && sent_ == head_.size() + body_.size();
    state_ = State::kIdle;
    if (!reusable) close();
    return Outcome::kAnswered;
  }
}

Connection::Outcome Connection::fail(Outcome outcome) {
  close();
  return outcome;
}

void Connection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  state_ = State::kClosed;
}

}  // namespace kvstore::bench
