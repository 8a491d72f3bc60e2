// Goal: hundreds of requests that wait for a leader keep nobody from being served, and all of them
// are answered once there is one.  Method: two of three nodes are killed; with far fewer threads
// than requests the third is asked for writes, linearizable reads, a revision to come and leases,
// and meanwhile for what it can answer by itself; then the two come back.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/cluster.hpp"

namespace kvstore::test {
namespace {

constexpr size_t kWriters = 250, kReaders = 250, kLater = 50, kLeases = 50;
constexpr size_t kWaiting = kWriters + kReaders + kLater + kLeases;
// Fewer than may have just begun to wait, so that none is 429.
constexpr size_t kAtOnce = 25;

// One connection and what it was asked.
class Waiter {
 public:
  explicit Waiter(const Node& node) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{120, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(node.http_port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  ~Waiter() { ::close(fd_); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void ask(const std::string& method, const std::string& target, const std::string& body = "") {
    const std::string text = method + " " + target + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n" + body;
    REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }

  HttpAnswer receive() {
    HttpAnswer answer;
    std::string text;
    size_t end = std::string::npos, length = 0;
    while (end == std::string::npos || text.size() < end + length) {
      char piece[4096];
      const ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
      if (n <= 0) return answer;
      text.append(piece, static_cast<size_t>(n));
      if (end != std::string::npos || (end = text.find("\r\n\r\n")) == std::string::npos) continue;
      end += 4;
      const size_t field = text.find("Content-Length: ");
      if (field < end) length = std::stoul(text.substr(field + 16));
    }
    answer.status = std::stoi(text.substr(9));
    answer.body = text.substr(end);
    return answer;
  }

 private:
  const int fd_;
};

double metric(const Node& node, const std::string& name) {
  const std::string text = node.http("GET", "/metrics").body;
  const size_t at = text.find("\n" + name);
  if (at == std::string::npos) return -1;
  return std::stod(text.substr(text.find(' ', at) + 1));
}

std::string key_of(size_t i) {
  return "w/" + std::to_string(1000 + i);
}

uint64_t revision_of(const Node& node) {
  return static_cast<uint64_t>(metric(node, "kvstore_state_revision"));
}

void ask_what_waits(Cluster& cluster, const Node& node,
                    std::vector<std::unique_ptr<Waiter>>* waiters) {
  const std::string path = "/api/v1/kv/", timeout = "timeout=100s";
  const std::string later = std::to_string(revision_of(node) + kWriters);
  for (size_t i = 0; i < kWaiting; ++i) {
    waiters->push_back(std::make_unique<Waiter>(node));
    Waiter& waiter = *waiters->back();
    if (i < kWriters) {
      waiter.ask("PUT", path + key_of(i) + "?" + timeout, "value " + std::to_string(i));
    } else if (i < kWriters + kReaders) {
      waiter.ask("GET", path + "there?raw=1&" + timeout);
    } else if (i < kWriters + kReaders + kLater) {
      waiter.ask("GET",
                 path + "there?raw=1&consistency=stale&min_revision=" + later + "&" + timeout);
    } else {
      waiter.ask("GET", "/api/v1/leases?" + timeout);
    }
    if ((i + 1) % kAtOnce != 0) continue;
    cluster.wait_until("the requests to wait without a thread", [&] {
      return metric(node, "kvstore_http_parked_requests{") == static_cast<double>(i + 1);
    });
  }
}

}  // namespace

TEST_CASE("waiting-requests-keep-nobody-out") {
  Cluster cluster("waiting-requests");
  for (int i = 0; i < 3; ++i) cluster.make_node().set("apis.0.options.threads=32");
  cluster.boot();
  cluster.put("there", "value");
  Node& leader = cluster.leader();
  Node& last = &cluster[0] == &leader ? cluster[1] : cluster[0];
  cluster.wait_until("the value", [&] {
    return last.http("GET", "/api/v1/kv/there?raw=1&consistency=stale").body == "value";
  });
  for (size_t i = 0; i < cluster.size(); ++i) {
    if (&cluster[i] != &last) cluster[i].kill();
  }
  cluster.wait_until("nobody to lead",
                     [&] { return metric(last, "kvstore_raft_has_leader ") == 0; });

  std::vector<std::unique_ptr<Waiter>> waiters;
  ask_what_waits(cluster, last, &waiters);
  for (int i = 0; i < 20; ++i) {
    CHECK(last.http("GET", "/api/v1/kv/there?raw=1&consistency=stale").body == "value");
    CHECK(last.http("GET", "/api/v1/kv?consistency=stale").status == 200);
    CHECK(last.http("GET", "/livez").status == 200);
    CHECK(contains(last.http("GET", "/health").body, "checks"));
    CHECK(last.http("GET", "/api/v1/cluster/status").status == 200);
  }
  // All that while nothing that waits was answered.
  CHECK(metric(last, "kvstore_http_parked_requests{") == static_cast<double>(kWaiting));

  for (size_t i = 0; i < cluster.size(); ++i) {
    if (&cluster[i] != &last) cluster[i].start();
  }
  for (size_t i = 0; i < kWaiting; ++i) {
    CAPTURE(i);
    const HttpAnswer answer = waiters[i]->receive();
    CAPTURE(answer.body);
    REQUIRE(answer.status == 200);
    if (i < kWriters) {
      CHECK(contains(answer.body, "\"key\":\"" + key_of(i) + "\""));
    } else if (i < kWriters + kReaders + kLater) {
      CHECK(answer.body == "value");
    }
  }
  const auto written = cluster.read_all(last, "w/");
  CHECK(written.size() == kWriters);
  for (size_t i = 0; i < kWriters; ++i)
    CHECK(written.at(key_of(i)) == "value " + std::to_string(i));
  // Their connections go on.
  for (size_t i = 0; i < kWaiting; i += 10) {
    waiters[i]->ask("GET", "/api/v1/kv/there?raw=1");
    CHECK(waiters[i]->receive().body == "value");
  }
  CHECK(metric(last, "kvstore_http_parked_requests{") == 0);
}

}  // namespace kvstore::test
