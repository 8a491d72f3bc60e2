#include "server.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kvstore::transport_thrift {

namespace {
constexpr int kAcceptPauseMs = 100;  // after a failed accept, e.g. for want of descriptors
}

void Server::start() {
  Listener listener = listen_on(context_.settings.listen);
  listen_fd_ = listener.fd;
  bound_ = {context_.settings.listen.host, listener.port};
  thread_ = std::thread([this] { run(); });
}

void Server::stop() {
  stopping_.store(true);
  wake_.notify();
  if (thread_.joinable()) thread_.join();
  if (listen_fd_ >= 0) ::close(std::exchange(listen_fd_, -1));
  std::list<Connection> connections;
  {
    std::lock_guard lock(mutex_);
    for (Connection& c : connections_) c.incoming->interrupt();
    connections.swap(connections_);
  }
  for (Connection& c : connections) c.thread.join();
}

void Server::disconnect(kvs_node_id peer) {
  std::lock_guard lock(mutex_);
  for (Connection& c : connections_) {
    if (c.incoming->peer() == peer) c.incoming->interrupt();
  }
}

size_t Server::connections() const {
  std::lock_guard lock(mutex_);
  size_t n = 0;
  for (const Connection& c : connections_) n += c.done.load() ? 0 : 1;
  return n;
}

// Joins what has ended.
void Server::reap() {
  std::list<Connection> done;
  {
    std::lock_guard lock(mutex_);
    for (auto it = connections_.begin(); it != connections_.end();) {
      auto next = std::next(it);
      if (it->done.load()) done.splice(done.end(), connections_, it);
      it = next;
    }
  }
  for (Connection& c : done) c.thread.join();
}

void Server::run() {
  while (!stopping_.load()) {
    pollfd polled[2] = {{listen_fd_, POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
    if (poll(polled, 2, -1) < 0) continue;  // EINTR
    wake_.drain();
    reap();
    if (!stopping_.load() && polled[0].revents != 0) accept_one();
  }
}

void Server::accept_one() {
  int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    context_.complain("cannot accept a connection: " + std::string(std::strerror(errno)));
    pollfd polled{wake_.fd(), POLLIN, 0};
    poll(&polled, 1, kAcceptPauseMs);
    return;
  }
  if (connections_.size() >= context_.settings.incoming_connections_max && !make_room()) {
    context_.counters.connections_closed++;
    context_.complain("connection from " + remote_text(fd) + " closed: there are " +
                      std::to_string(connections_.size()) + " already");
    ::close(fd);
    return;
  }
  try {
    add(fd);
  } catch (const std::exception& e) {
    context_.complain("cannot serve a connection: " + std::string(e.what()));
  }
}

// Sends away the connection that has waited longest for its hello: a crowd of strangers must not
// keep peers out.  False when there is none, or those sent away before are not gone yet.
bool Server::make_room() {
  std::lock_guard lock(mutex_);
  if (connections_.size() >= 2 * size_t{context_.settings.incoming_connections_max}) return false;
  for (Connection& c : connections_) {
    if (c.sent_away || c.done.load() || c.incoming->peer() != 0) continue;
    c.sent_away = true;
    c.incoming->interrupt();
    return true;
  }
  return false;
}

void Server::add(int fd) {
  auto incoming = std::make_unique<Incoming>(context_, fd, on_greeted_);
  std::lock_guard lock(mutex_);
  Connection& c = connections_.emplace_back();
  c.incoming = std::move(incoming);
  try {
    c.thread = std::thread([this, &c] {
      c.incoming->run();
      c.done.store(true);
      wake_.notify();
    });
  } catch (...) {
    connections_.pop_back();
    throw;
  }
}

}  // namespace kvstore::transport_thrift
