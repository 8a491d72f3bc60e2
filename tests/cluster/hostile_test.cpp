// Goal: crowds of idle, slow and senseless clients on either port of a real server keep nobody from
// being served, and take no memory without bound.  Method: thousands of connections from this
// process; requests, health and the server's memory are looked at while they are open.
#include <fstream>

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

// What the server may grow by: stacks that its threads have touched, and its allocator's slack.
constexpr size_t kGrowthMax = size_t{96} << 20;

class Crowd {
 public:
  Crowd(const Node& node, uint16_t port, size_t n) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    CAPTURE(node.name());
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < n; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      if (fd < 0) break;  // the machine allows no more; the test says how many there were
      fds_.push_back(fd);
      ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    MESSAGE(fds_.size() << " connections to " << node.name());
  }
  ~Crowd() {
    for (const int fd : fds_) ::close(fd);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // To each of them that is still there; `part` of every `of`.
  void send(const std::string& bytes, size_t part = 0, size_t of = 1) {
    for (size_t i = 0; i < fds_.size(); ++i) {
      if (i % of != part) continue;
      static_cast<void>(!::send(fds_[i], bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    }
  }

 private:
  std::vector<int> fds_;
};

size_t resident_bytes(const Node& node) {
  std::ifstream statm("/proc/" + std::to_string(node.pid()) + "/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

void check_serves(Cluster& cluster, Node& node) {
  CHECK(node.http("GET", "/health").status == 200);
  CHECK(node.http("GET", "/api/v1/metrics").status == 200);
  cluster.put("k", "v");
  CHECK(cluster.get(node, "k") == "v");
}

TEST_CASE("two-thousand-hostile-http-connections") {
  Cluster cluster("hostile-http");
  cluster.boot(1);
  Node& node = cluster[0];
  check_serves(cluster, node);
  const size_t before = resident_bytes(node);
  const std::string get = "GET /livez HTTP/1.1\r\nHost: h\r\n";
  {
    Crowd crowd(node, node.http_port(), 2000);
    crowd.send(get + "X: ", 0, 4);  // slow headers
    crowd.send("PUT /api/v1/kv/s HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n", 1, 4);
    crowd.send(get + "\r\n\x16\x03\x01 garbage \r\n\r\n", 2, 4);  // pipelined
    for (int round = 0; round < 10; ++round) {                    // 3: silent
      crowd.send("x", 0, 4);
      crowd.send("x", 1, 4);
      check_serves(cluster, node);
    }
    const size_t during = resident_bytes(node);
    MESSAGE("memory grew from " << (before >> 20) << " to " << (during >> 20) << " MiB");
    CHECK(during < before + kGrowthMax);
  }
  check_serves(cluster, node);
  CHECK(resident_bytes(node) < before + kGrowthMax);
  CHECK(node.is_running());
  CHECK(node.stop() == 0);
}

TEST_CASE("answers-that-nobody-reads") {
  Cluster cluster("deaf-clients");
  cluster.boot(1);
  Node& node = cluster[0];
  const std::string value = pattern(size_t{32} << 20, 1);
  REQUIRE(node.client(std::chrono::seconds(60)).put("big", value));
  const size_t before = resident_bytes(node);
  Crowd crowd(node, node.http_port(), 200);
  crowd.send("GET /api/v1/kv/big?raw=true HTTP/1.1\r\nHost: h\r\n\r\n");
  for (int round = 0; round < 10; ++round) check_serves(cluster, node);
  // 6.4 GB are asked for; a piece of each, of 1 MiB, is held at a time, and read into another.
  const size_t during = resident_bytes(node);
  MESSAGE("memory grew from " << (before >> 20) << " to " << (during >> 20) << " MiB");
  CHECK(during < before + (size_t{200 * 3 + 64} << 20));
}

TEST_CASE("strangers-on-the-raft-port") {
  Cluster cluster("strangers");
  cluster.boot(3);
  Node& leader = cluster.leader();
  const auto port = static_cast<uint16_t>(
      std::stoi(leader.raft_address().substr(leader.raft_address().rfind(':') + 1)));
  const size_t before = resident_bytes(leader);
  {
    Crowd crowd(leader, port, 1000);
    crowd.send("GET / HTTP/1.1\r\n\r\n", 0, 3);
    crowd.send(std::string("\x7f\xff\xff\xff two gigabytes", 18), 1, 3);
    for (int round = 0; round < 10; ++round) check_serves(cluster, leader);
    // A peer that has to dial anew gets in.
    Node& other = &cluster[0] == &leader ? cluster[1] : cluster[0];
    other.kill();
    other.start();
    cluster.wait_healthy(other);
    Crowd more(leader, port, 1000);
    check_serves(cluster, other);
  }
  CHECK(resident_bytes(leader) < before + kGrowthMax);
}

}  // namespace
}  // namespace kvstore::test
