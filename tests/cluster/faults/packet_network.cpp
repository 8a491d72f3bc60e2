#include "faults/packet_network.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace kvstore::test {
namespace {

using Clock = std::chrono::steady_clock;

// Few large packets: the switch is one thread.
constexpr int kPacketBytesMax = 16'000;
constexpr size_t kWaitingMax = 20'000;
constexpr size_t kBurstMax = 64;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

int check(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

std::string address_of(size_t number) {
  return "10.99.0." + std::to_string(number + 1);
}

int current_network() {
  return check(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "open network namespace");
}

// /dev/net/tun, or a node of our own where containers leave it out.
int open_tun(const std::filesystem::path& dir) {
  int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) return fd;
  const std::filesystem::path own = dir / "tun";
  if (::mknod(own.c_str(), S_IFCHR | 0600, ::makedev(10, 200)) != 0 && errno != EEXIST) return -1;
  return ::open(own.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

void configure(ifreq& request, int socket, const std::string& address) {
  auto* in = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  *in = {};
  in->sin_family = AF_INET;
  ::inet_pton(AF_INET, address.c_str(), &in->sin_addr);
  check(::ioctl(socket, SIOCSIFADDR, &request), "set address");
  ::inet_pton(AF_INET, "255.255.255.0", &in->sin_addr);
  check(::ioctl(socket, SIOCSIFNETMASK, &request), "set mask");
  request.ifr_mtu = kPacketBytesMax;
  check(::ioctl(socket, SIOCSIFMTU, &request), "set packet size");
}

void bring_up(ifreq& request, int socket) {
  check(::ioctl(socket, SIOCGIFFLAGS, &request), "get flags");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_RUNNING);
  check(::ioctl(socket, SIOCSIFFLAGS, &request), "bring up");
}

// In the calling thread's namespace.
void set_up_devices(int tun, const std::string& address) {
  ifreq request{};
  std::strcpy(request.ifr_name, "kvs0");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  check(::ioctl(tun, TUNSETIFF, &request), "make a device");
  const int socket = check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  configure(request, socket, address);
  bring_up(request, socket);
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  bring_up(loopback, socket);
  ::close(socket);
}

}  // namespace

std::optional<std::string> PacketNetwork::why_impossible() {
  std::optional<std::string> reason;
  // A thread of its own tries, so that this one stays where it is.
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      reason = std::string("no network namespaces: ") + std::strerror(errno);
      return;
    }
    const auto dir =
        std::filesystem::temp_directory_path() / ("kvs-probe-" + std::to_string(::getpid()));
    std::filesystem::create_directories(dir);
    const int tun = open_tun(dir);
    try {
      if (tun < 0) fail("open /dev/net/tun");
      set_up_devices(tun, address_of(0));
    } catch (const std::exception& e) {
      reason = e.what();
    }
    if (tun >= 0) ::close(tun);
    std::filesystem::remove_all(dir);
  }).join();
  return reason;
}

PacketNetwork::PacketNetwork(const std::filesystem::path& dir)
    : dir_(dir), own_network_(current_network()) {
  wake_ = check(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  ports_.push_back(make_port(0));
  links_.assign(1, std::vector<Link>(1));
  switch_ = std::thread([this] { run(); });
  check(::setns(ports_[0].network, CLONE_NEWNET), "enter the clients' namespace");
}

PacketNetwork::~PacketNetwork() {
  (void)::setns(own_network_, CLONE_NEWNET);
  stopping_ = true;
  (void)::eventfd_write(wake_, 1);
  switch_.join();
  for (const Port& port : ports_) {
    ::close(port.device);
    ::close(port.network);
  }
  ::close(own_network_);
  ::close(wake_);
}

PacketNetwork::Port PacketNetwork::make_port(size_t number) {
  Port port;
  std::string error;
  std::thread([&] {
    try {
      check(::unshare(CLONE_NEWNET), "make a network namespace");
      port.network = current_network();
      port.device = check(open_tun(dir_), "open /dev/net/tun");
      set_up_devices(port.device, address_of(number));
    } catch (const std::exception& e) {
      error = e.what();
    }
  }).join();
  if (!error.empty()) throw std::runtime_error(error);
  return port;
}

void PacketNetwork::attach(Node& node) {
  const Port port = make_port(ports_.size());
  node.set_place(address_of(ports_.size()), port.network);
  const std::lock_guard lock(mutex_);
  ports_.push_back(port);
  links_.assign(ports_.size(), std::vector<Link>(ports_.size()));
  (void)::eventfd_write(wake_, 1);
}

void PacketNetwork::set_link(size_t from, size_t to, const Link& link) {
  const std::lock_guard lock(mutex_);
  links_.at(from + 1).at(to + 1) = link;
}

void PacketNetwork::run() {
  std::string packet(65536, '\0');
  while (!stopping_) {
    std::vector<pollfd> watched = {{wake_, POLLIN, 0}};
    {
      const std::lock_guard lock(mutex_);
      for (const Port& port : ports_) watched.push_back({port.device, POLLIN, 0});
    }
    ::poll(watched.data(), watched.size(), wait_ms());
    if (watched[0].revents != 0) {
      eventfd_t ignored;
      (void)::eventfd_read(wake_, &ignored);
    }
    deliver_due();
    for (size_t i = 1; i < watched.size(); ++i) {
      if ((watched[i].revents & POLLIN) == 0) continue;
      for (size_t n = 0; n < kBurstMax; ++n) {
        const ssize_t bytes = ::read(watched[i].fd, packet.data(), packet.size());
        if (bytes <= 0) break;
        take(i - 1, packet.substr(0, static_cast<size_t>(bytes)));
      }
    }
  }
}

void PacketNetwork::take(size_t from, const std::string& packet) {
  // IPv4 only; the last byte of the destination is the port.
  if (packet.size() < 20 || (static_cast<unsigned char>(packet[0]) >> 4) != 4) return;
  const size_t to = static_cast<unsigned char>(packet[19]) - size_t{1};
  const std::lock_guard lock(mutex_);
  if (to >= ports_.size()) return;
  const Link& link = links_[from][to];
  const auto percent = [&] { return random_() % 100; };
  const bool lost = link.loss_percent > 0 && percent() < link.loss_percent;
  if (link.cut || lost || waiting_.size() >= kWaitingMax) {
    ++dropped_;
    return;
  }
  ++forwarded_;
  const bool twice = link.duplicate_percent > 0 && percent() < link.duplicate_percent;
  for (int copy = 0; copy < (twice ? 2 : 1); ++copy) {
    if (link.delay.count() == 0 && link.jitter.count() == 0) {
      (void)!::write(ports_[to].device, packet.data(), packet.size());
      continue;
    }
    const auto more = link.jitter.count() == 0
                          ? std::chrono::microseconds(0)
                          : std::chrono::microseconds(random_() % link.jitter.count());
    waiting_.push_back({Clock::now() + link.delay + more, next_number_++, to, packet});
    std::push_heap(waiting_.begin(), waiting_.end(), std::greater<>());
  }
}

void PacketNetwork::deliver_due() {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty() && waiting_.front().due <= now) {
    std::pop_heap(waiting_.begin(), waiting_.end(), std::greater<>());
    const Waiting& next = waiting_.back();
    (void)!::write(ports_[next.to].device, next.packet.data(), next.packet.size());
    waiting_.pop_back();
  }
}

int PacketNetwork::wait_ms() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) return 1000;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(waiting_.front().due - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count() + 1, 0, 1000));
}

}  // namespace kvstore::test
