// A network of connections for machines without network namespaces: before every node stands a
// proxy that accepts what other nodes dial, finds out which process dials, and passes bytes on,
// late, or not at all while the link from that node is cut.
//
// In this transport a connection carries messages from the dialling to the accepting node only, so
// a link cut in one direction is a truly one-way partition.
#pragma once

#include <atomic>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include "faults/network.hpp"

namespace kvstore::test {

class ProxyNetwork final : public Network {
 public:
  ProxyNetwork();
  ~ProxyNetwork() override;

  void attach(Node& node) override;
  void set_link(size_t from, size_t to, const Link& link) override;
  size_t size() const override { return doors_.size(); }
  std::string cannot() const override { return "no loss and no duplication of packets"; }

  // Connections whose dialler was recognised, so far.
  uint64_t recognised() const { return recognised_; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Door {
    Node* node;
    int listener;
    uint16_t port;    // of the proxy
    uint16_t behind;  // of the node
  };
  // Bytes on their way in one direction of a connection.
  struct Flow {
    int in, out;
    std::deque<std::pair<Time, std::string>> chunks;
    size_t bytes = 0;
    bool ended = false;  // nothing more comes in
  };
  struct Connection {
    std::optional<size_t> from;
    size_t to;
    Flow flows[2];
    bool broken = false;
  };

  void run();
  void open(size_t door);
  std::optional<size_t> dialler(uint16_t port, uint16_t door_port) const;
  Link link_of(const Connection& connection);
  void read_into(Flow& flow, const Link& link, bool& broken);
  void write_from(Flow& flow, bool& broken);
  void serve(Connection& connection);

  std::mutex mutex_;  // doors_ and links_
  std::vector<Door> doors_;
  std::vector<std::vector<Link>> links_;
  std::list<Connection> connections_;  // the proxy thread's
  std::atomic<uint64_t> recognised_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace kvstore::test
