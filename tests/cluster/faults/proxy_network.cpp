#include "faults/proxy_network.hpp"

#include <cerrno>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kvstore::test {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr size_t kFlowBytesMax = size_t{4} << 20;
constexpr int kStepMs = 2;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int listen_on(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, 64) != 0) {
    throw std::runtime_error("cannot listen on port " + std::to_string(port));
  }
  return fd;
}

// The inode of the socket whose own end is `port` and whose other end is `other`, "" if none.
std::string socket_inode(uint16_t port, uint16_t other) {
  std::ifstream table("/proc/net/tcp");
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string number, own, far, state, queues, timer, retransmits, uid, timeout, inode;
    fields >> number >> own >> far >> state >> queues >> timer >> retransmits >> uid >> timeout >>
        inode;
    const auto port_of = [](const std::string& text) {
      return std::stoul(text.substr(text.find(':') + 1), nullptr, 16);
    };
    if (port_of(own) == port && port_of(far) == other) return inode;
  }
  return "";
}

bool has_socket(pid_t pid, const std::string& inode) {
  std::error_code error;
  fs::directory_iterator files("/proc/" + std::to_string(pid) + "/fd", error);
  for (; !error && files != fs::directory_iterator(); files.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(files->path(), gone) == "socket:[" + inode + "]") return true;
  }
  return false;
}

}  // namespace

ProxyNetwork::ProxyNetwork() : thread_([this] { run(); }) {}

ProxyNetwork::~ProxyNetwork() {
  stopping_ = true;
  thread_.join();
  for (const Door& door : doors_) ::close(door.listener);
  for (Connection& connection : connections_) {
    ::close(connection.flows[0].in);
    ::close(connection.flows[0].out);
  }
}

void ProxyNetwork::attach(Node& node) {
  const uint16_t port = free_port();
  const uint16_t behind = node.raft_port();
  node.set_advertised("127.0.0.1:" + std::to_string(port));
  const std::lock_guard lock(mutex_);
  doors_.push_back({&node, listen_on(port), port, behind});
  links_.assign(doors_.size(), std::vector<Link>(doors_.size()));
}

void ProxyNetwork::set_link(size_t from, size_t to, const Link& link) {
  const std::lock_guard lock(mutex_);
  links_.at(from).at(to) = link;
}

std::optional<size_t> ProxyNetwork::dialler(uint16_t port, uint16_t door_port) const {
  const std::string inode = socket_inode(port, door_port);
  if (inode.empty() || inode == "0") return std::nullopt;
  for (size_t i = 0; i < doors_.size(); ++i) {
    const pid_t pid = doors_[i].node->pid();
    if (pid != 0 && has_socket(pid, inode)) return i;
  }
  return std::nullopt;
}

void ProxyNetwork::open(size_t number) {
  const std::lock_guard lock(mutex_);
  const Door& door = doors_[number];
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  const int in = ::accept4(door.listener, reinterpret_cast<sockaddr*>(&peer), &size,
                           SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (in < 0) return;
  const int out = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in behind = loopback(door.behind);
  if (::connect(out, reinterpret_cast<const sockaddr*>(&behind), sizeof behind) != 0) {
    ::close(in);
    ::close(out);
    return;
  }
  ::fcntl(out, F_SETFL, O_NONBLOCK);
  const int on = 1;
  ::setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Connection connection{dialler(ntohs(peer.sin_port), door.port), number, {}, false};
  if (connection.from) ++recognised_;
  connection.flows[0].in = connection.flows[1].out = in;
  connection.flows[0].out = connection.flows[1].in = out;
  connections_.push_back(std::move(connection));
}

Link ProxyNetwork::link_of(const Connection& connection) {
  const std::lock_guard lock(mutex_);
  return connection.from ? links_[*connection.from][connection.to] : Link{};
}

void ProxyNetwork::read_into(Flow& flow, const Link& link, bool& broken) {
  static thread_local std::mt19937 random(1);
  std::string chunk(64 * 1024, '\0');
  while (!flow.ended && flow.bytes < kFlowBytesMax) {
    const ssize_t got = ::recv(flow.in, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got < 0 && errno != EAGAIN && errno != EINTR) broken = true;
    if (got == 0) flow.ended = true;
    if (got <= 0) return;
    auto due = Clock::now() + link.delay;
    if (link.jitter.count() > 0) due += std::chrono::microseconds(random() % link.jitter.count());
    // Bytes of a connection never overtake each other.
    if (!flow.chunks.empty()) due = std::max(due, flow.chunks.back().first);
    flow.chunks.emplace_back(due, chunk.substr(0, static_cast<size_t>(got)));
    flow.bytes += static_cast<size_t>(got);
  }
}

void ProxyNetwork::write_from(Flow& flow, bool& broken) {
  while (!flow.chunks.empty() && flow.chunks.front().first <= Clock::now()) {
    std::string& chunk = flow.chunks.front().second;
    const ssize_t put = ::send(flow.out, chunk.data(), chunk.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0) {
      if (errno != EAGAIN && errno != EINTR) broken = true;
      return;
    }
    flow.bytes -= static_cast<size_t>(put);
    chunk.erase(0, static_cast<size_t>(put));
    if (!chunk.empty()) return;
    flow.chunks.pop_front();
  }
  if (flow.chunks.empty() && flow.ended) broken = true;  // all passed on: the end passes on, too
}

// A cut link lets nothing through in either direction of its connections, not even their end.
void ProxyNetwork::serve(Connection& connection) {
  const Link link = link_of(connection);
  if (link.cut) return;
  for (Flow& flow : connection.flows) {
    read_into(flow, link, connection.broken);
    write_from(flow, connection.broken);
  }
}

void ProxyNetwork::run() {
  while (!stopping_) {
    std::vector<pollfd> watched;
    {
      const std::lock_guard lock(mutex_);
      for (const Door& door : doors_) watched.push_back({door.listener, POLLIN, 0});
    }
    const size_t doors = watched.size();
    bool pending = false;
    for (const Connection& connection : connections_) {
      if (link_of(connection).cut) continue;
      for (const Flow& flow : connection.flows) {
        pending = pending || !flow.chunks.empty();
        if (!flow.ended && flow.bytes < kFlowBytesMax) watched.push_back({flow.in, POLLIN, 0});
      }
    }
    ::poll(watched.data(), watched.size(), pending ? kStepMs : 50);
    for (size_t i = 0; i < doors; ++i) {
      if (watched[i].revents != 0) open(i);
    }
    for (auto it = connections_.begin(); it != connections_.end();) {
      serve(*it);
      if (!it->broken) {
        ++it;
        continue;
      }
      ::close(it->flows[0].in);
      ::close(it->flows[0].out);
      it = connections_.erase(it);
    }
  }
}

}  // namespace kvstore::test
