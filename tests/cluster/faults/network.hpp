// The network between the nodes of a cluster, in the hands of a test.
//
// Every ordered pair of nodes has a link with a quality of its own; clients are never affected.
// Nodes have to be attached before their first start.  One thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "support/cluster.hpp"

namespace kvstore::test {

// What happens to what one node sends to another.
struct Link {
  bool cut = false;
  std::chrono::microseconds delay{0};
  std::chrono::microseconds jitter{0};  // up to so much more, so that packets overtake each other
  unsigned loss_percent = 0;
  unsigned duplicate_percent = 0;
};

class Network {
 public:
  virtual ~Network() = default;

  // Gives a node its place in this network.
  virtual void attach(Node& node) = 0;
  // From now on; indices in the order of attach().
  virtual void set_link(size_t from, size_t to, const Link& link) = 0;
  virtual size_t size() const = 0;
  // What this kind cannot do is left out of links, and named here ("" when nothing is).
  virtual std::string cannot() const = 0;

  void set_both(size_t a, size_t b, const Link& link);
  void cut(size_t from, size_t to) { set_link(from, to, Link{.cut = true}); }
  // Nobody hears the node and it hears nobody.
  void isolate(size_t node);
  // Two sides that do not hear each other.
  void partition(const std::vector<size_t>& side);
  // Every node hears a majority, no two of them the same one: node i hears the next quorum-1 ones
  // on both sides of a ring.
  void majorities_ring();
  void heal();
};

// Packets where this machine lets us have network namespaces, connections through a proxy
// otherwise.
std::unique_ptr<Network> make_network(const std::filesystem::path& dir);

}  // namespace kvstore::test
