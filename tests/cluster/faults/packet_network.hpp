// A network of packets: each node in a network namespace of its own, all of them joined by a switch
// in this process that cuts, delays, loses and duplicates packets, each direction by itself.
//
// The namespaces have no names and their devices are not persistent: all of it is gone with the
// process.  The thread that makes the network moves into the namespace of the clients, and with it
// every thread that it starts, until the network ends.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "faults/network.hpp"

namespace kvstore::test {

class PacketNetwork final : public Network {
 public:
  static std::optional<std::string> why_impossible();

  explicit PacketNetwork(const std::filesystem::path& dir);
  ~PacketNetwork() override;

  void attach(Node& node) override;
  void set_link(size_t from, size_t to, const Link& link) override;
  size_t size() const override { return ports_.size() - 1; }
  std::string cannot() const override { return ""; }

  // Packets that never arrived because of a link, so far.
  uint64_t dropped() const { return dropped_; }
  uint64_t forwarded() const { return forwarded_; }

 private:
  struct Port {
    int device = -1;   // packets of the namespace
    int network = -1;  // the namespace
  };
  struct Waiting {
    std::chrono::steady_clock::time_point due;
    uint64_t number;
    size_t to;
    std::string packet;
    bool operator>(const Waiting& other) const {
      return std::tie(due, number) > std::tie(other.due, other.number);
    }
  };

  Port make_port(size_t number);
  void run();
  void take(size_t from, const std::string& packet);
  void deliver_due();
  int wait_ms();

  const std::filesystem::path dir_;
  int own_network_ = -1;     // where the thread of the test was before
  std::vector<Port> ports_;  // 0: the clients
  std::mutex mutex_;         // ports_ against attach, links_
  std::vector<std::vector<Link>> links_;
  std::vector<Waiting> waiting_;  // a heap, the earliest first
  uint64_t next_number_ = 0;
  std::mt19937 random_{1};
  std::atomic<uint64_t> dropped_ = 0, forwarded_ = 0;
  int wake_ = -1;
  std::atomic<bool> stopping_ = false;
  std::thread switch_;
};

}  // namespace kvstore::test
