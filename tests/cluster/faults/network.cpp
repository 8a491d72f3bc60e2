#include "faults/network.hpp"

#include <algorithm>
#include <iostream>

#include "faults/machine.hpp"
#include "faults/packet_network.hpp"
#include "faults/proxy_network.hpp"

namespace kvstore::test {

void Network::set_both(size_t a, size_t b, const Link& link) {
  set_link(a, b, link);
  set_link(b, a, link);
}

void Network::isolate(size_t node) {
  partition({node});
}

void Network::partition(const std::vector<size_t>& side) {
  const auto inside = [&](size_t node) {
    return std::find(side.begin(), side.end(), node) != side.end();
  };
  for (size_t a = 0; a < size(); ++a) {
    for (size_t b = 0; b < a; ++b) set_both(a, b, Link{.cut = inside(a) != inside(b)});
  }
}

void Network::majorities_ring() {
  const size_t reach = (size() / 2 + 1) / 2;  // with itself and both sides a majority
  for (size_t a = 0; a < size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      const size_t distance = std::min(a - b, size() - (a - b));
      set_both(a, b, Link{.cut = distance > reach});
    }
  }
}

void Network::heal() {
  for (size_t a = 0; a < size(); ++a) {
    for (size_t b = 0; b < size(); ++b) {
      if (a != b) set_link(a, b, {});
    }
  }
}

std::unique_ptr<Network> make_network(const std::filesystem::path& dir) {
  const auto reason = no_packet_network();
  if (!reason) return std::make_unique<PacketNetwork>(dir);
  auto proxies = std::make_unique<ProxyNetwork>();
  std::cout << "No network namespaces (" << *reason << "): connections through proxies; "
            << proxies->cannot() << std::endl;
  return proxies;
}

}  // namespace kvstore::test
