#include "front/lobby.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <kvstore/sdk/guard.hpp>

#include <Poco/Exception.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api_error.hpp"
#include "front/answer.hpp"
#include "front/request_head.hpp"

namespace kvstore::http {
namespace {

constexpr int kEventsAtOnce = 256;
constexpr int kTickMs = 100;  // how exactly deadlines are kept
constexpr int kEvictionTries = 16;
constexpr int kPeeksMax = 8;  // at a client that sends empty lines faster than they are dropped
constexpr int kPauseStepUs = 5000;
constexpr uint64_t kAcceptPauseMs = 100;  // after a failed accept, e.g. for want of descriptors

// Says why a connection ends, as far as that is possible without waiting for the client.
void refuse(const Poco::Net::StreamSocket& socket, const ApiError& error) {
  const std::string text = refusal_text(error);
  const int fd = socket.impl()->sockfd();
  static_cast<void>(::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  ::shutdown(fd, SHUT_WR);
  // What has come already: closing over unread bytes would reset the connection.
  char scrap[4096];
  static_cast<void>(::recv(fd, scrap, sizeof scrap, MSG_DONTWAIT));
}

ApiError too_many(const char* option, uint64_t limit) {
  ApiError error(503, "busy",
                 "more than " + std::to_string(limit) + " connections (" + option + ")");
  error.retryable = true;
  error.retry_after_s = 1;
  return error;
}

std::string address_of(const Poco::Net::StreamSocket& socket) {
  try {
    return socket.peerAddress().host().toString();
  } catch (const Poco::Exception&) {
    return {};  // the client is gone already
  }
}

// Empty lines before a request line are no request (RFC 9112, 2.2): how many bytes they are.
size_t empty_lines(std::string_view bytes) {
  size_t n = 0;
  while (bytes.substr(n).starts_with("\r\n")) n += 2;
  return n;
}

}  // namespace

Lobby::Lobby(const Poco::Net::ServerSocket& listener, const Config& config, const sdk::Host& host,
             ConnectionSet* connections, Dispatch dispatch)
    : listener_(listener),
      config_(config),
      host_(host),
      connections_(connections),
      dispatch_(std::move(dispatch)),
      epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (epoll_fd_ < 0 || wake_fd_ < 0) {
    throw sdk::Error(KVS_E_IO, std::string("cannot make an epoll set: ") + std::strerror(errno));
  }
  for (const int fd : {wake_fd_, listener_.impl()->sockfd()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  }
}

Lobby::~Lobby() {
  stop();
  ::close(epoll_fd_);
  ::close(wake_fd_);
}

void Lobby::start() {
  thread_ = std::thread([this] { run(); });
}

void Lobby::stop() {
  stopping_.store(true);
  const uint64_t one = 1;
  static_cast<void>(!::write(wake_fd_, &one, sizeof one));
  if (thread_.joinable()) thread_.join();
  take_returned();
  while (!guests_.empty()) close(guests_.begin(), false);
}

void Lobby::take_back(const Poco::Net::StreamSocket& socket) {
  {
    std::lock_guard lock(mutex_);
    returned_.push_back(socket);
  }
  const uint64_t one = 1;
  static_cast<void>(!::write(wake_fd_, &one, sizeof one));
}

void Lobby::run() {
  epoll_event events[kEventsAtOnce];
  while (!stopping_.load()) {
    const bool paused = host_.now_ns() < accept_after_ns_;
    if (paused) ::usleep(kPauseStepUs);  // the listener stays ready
    const int n =
        ::epoll_wait(epoll_fd_, events, kEventsAtOnce, guests_.empty() && !paused ? -1 : kTickMs);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == wake_fd_) {
        uint64_t count = 0;
        static_cast<void>(!::read(wake_fd_, &count, sizeof count));
      } else if (fd == listener_.impl()->sockfd()) {
        accept_all();
      } else if (const auto guest = by_fd_.find(fd); guest != by_fd_.end()) {
        stays(guest->second);
      }
    }
    take_returned();
    close_overdue();
  }
}

void Lobby::take_returned() {
  std::vector<Poco::Net::StreamSocket> returned;
  {
    std::lock_guard lock(mutex_);
    returned.swap(returned_);
  }
  for (const Poco::Net::StreamSocket& socket : returned) {
    receive({socket, deadline(config_.keep_alive_timeout_ms), false});
  }
}

void Lobby::accept_all() {
  for (int n = 0; n < kEventsAtOnce && host_.now_ns() >= accept_after_ns_; ++n) {
    const int fd = ::accept4(listener_.impl()->sockfd(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0 && errno == ECONNABORTED) continue;
    if (fd < 0) return accept_failed(errno);
    accepted(Poco::Net::StreamSocket(new Poco::Net::StreamSocketImpl(fd)));
  }
}

void Lobby::accept_failed(int why) {
  if (why == EAGAIN || why == EWOULDBLOCK || why == EINTR || stopping_.load()) return;
  host_.log(KVS_LEVEL_WARN, std::string("cannot accept a connection: ") + std::strerror(why));
  // The descriptor of a client that says nothing is of more use to one that does.
  if (why == EMFILE || why == ENFILE) make_room();
  accept_after_ns_ = deadline(kAcceptPauseMs);
}

void Lobby::accepted(Poco::Net::StreamSocket socket) {
  try {
    socket.setNoDelay(true);
  } catch (const Poco::Exception&) {
    return;  // the client is gone already
  }
  if (!admit(socket)) return;
  // While threads are plenty the header is read by the thread that will serve it.
  if (!connections_->threads_are_scarce()) return dispatch_(socket);
  receive({socket, deadline(config_.header_timeout_ms), false});
}

// Makes room by closing the connection that has waited longest for its client, rather than turning
// the new one away: a crowd of idle clients must not keep others out.
bool Lobby::admit(const Poco::Net::StreamSocket& socket) {
  const std::string address = address_of(socket);
  if (address.empty()) return false;
  const uint64_t limit = config_.max_connections_per_address;
  if (limit != 0 && connections_->open_of(address) >= limit) {
    refuse(socket, too_many("max_connections_per_address", limit));
    return false;
  }
  if (connections_->open() >= config_.max_connections && !make_room()) {
    refuse(socket, too_many("max_connections", config_.max_connections));
    return false;
  }
  connections_->enter(socket.impl()->sockfd(), address);
  return true;
}

// Closes the guest that has waited longest.  One whose request has come meanwhile is served
// instead.
bool Lobby::make_room() {
  for (int tries = 0; tries < kEvictionTries && !guests_.empty(); ++tries) {
    if (!stays(guests_.begin())) continue;
    close(guests_.begin(), false);
    return true;
  }
  return false;
}

void Lobby::receive(Guest guest) {
  const int fd = guest.socket.impl()->sockfd();
  guests_.push_back(std::move(guest));
  const auto place = std::prev(guests_.end());
  by_fd_[fd] = place;
  epoll_event event{};
  // Edge-triggered: what was looked at and is not enough does not wake the thread again.
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) close(place, false);
}

// Looks at what has come; whether the guest is still one.
bool Lobby::stays(Guests::iterator guest) {
  bool begun = false, gone = false;
  const bool ready = is_ready(guest->socket, &begun, &gone);
  if (ready) {
    const Poco::Net::StreamSocket socket = guest->socket;
    forget(guest);
    dispatch_(socket);
    return false;
  }
  if (gone) {
    close(guest, false);
    return false;
  }
  if (begun && !guest->begun) {
    guest->begun = true;
    guest->until_ns = std::min(guest->until_ns, deadline(config_.header_timeout_ms));
  }
  return true;
}

// Ready is also what will be refused: that takes a thread's answer.
bool Lobby::is_ready(const Poco::Net::StreamSocket& socket, bool* begun, bool* gone) {
  peeked_.resize(config_.max_header_bytes + 1);
  const int fd = socket.impl()->sockfd();
  std::string_view bytes;
  for (int peeks = 0; bytes.empty(); ++peeks) {
    const ssize_t n = ::recv(fd, peeked_.data(), peeked_.size(), MSG_PEEK | MSG_DONTWAIT);
    *gone = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || peeks == kPeeksMax;
    if (n <= 0 || *gone) return false;
    bytes = std::string_view(peeked_.data(), static_cast<size_t>(n));
    const size_t empty = empty_lines(bytes);
    if (empty > 0) static_cast<void>(::recv(fd, nullptr, empty, MSG_TRUNC | MSG_DONTWAIT));
    bytes.remove_prefix(empty);
  }
  *begun = true;
  if (bytes.size() == peeked_.size()) return true;
  size_t checked = 0;
  try {
    return find_head_end(bytes, &checked) != 0;
  } catch (const ApiError&) {
    return true;
  }
}

void Lobby::close_overdue() {
  const uint64_t now = host_.now_ns();
  for (auto guest = guests_.begin(); guest != guests_.end();) {
    const auto next = std::next(guest);
    if (now >= guest->until_ns && stays(guest)) close(guest, guest->begun);
    guest = next;
  }
}

void Lobby::close(Guests::iterator guest, bool overdue) {
  if (overdue) {
    refuse(guest->socket, ApiError(408, "request_timeout", "the header did not arrive in time"));
  }
  connections_->leave(guest->socket.impl()->sockfd());
  forget(guest);
}

void Lobby::forget(Guests::iterator guest) {
  const int fd = guest->socket.impl()->sockfd();
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  by_fd_.erase(fd);
  guests_.erase(guest);
}

}  // namespace kvstore::http
