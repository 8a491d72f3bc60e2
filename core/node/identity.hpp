// Who a node is, and how two nodes judge each other's hello.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.hpp"
#include "node/membership.hpp"
#include "wire/hello.hpp"

namespace kvstore::node {

// What node.json keeps, with the addresses that the configuration adds.
struct Identity {
  wire::ClusterId cluster{};  // all zero until the node belongs to a cluster
  raft::NodeId id;            // made with the data directory: the incarnation
  std::string name;
  std::string raft_address;  // advertised
  std::vector<std::pair<std::string, std::string>> api_addresses;
  std::vector<std::string> plugins;

  bool joined() const { return cluster != wire::ClusterId{}; }
};

using wire::cluster_id_text;

// Addresses that others dial for a purpose other than talking to a known member (admissions,
// --peers) get an id of their own, with the top bit set; equal addresses get equal ids.
raft::NodeId provisional_id(const std::string& address);
inline bool is_provisional(raft::NodeId id) {
  return (id.value >> 63) != 0;
}

// Whether the connection may stand, seen from `self`.  Refusals, with a message for the other
// side's operator: INCOMPATIBLE (another cluster), CLOSED (its id was removed), CONFLICT (its name
// is bound to another id), NOT_FOUND (not admitted yet), INVALID (claims this node's own id).
// `dialed` is the member the connection was meant for, kNoNode for incoming and provisional ones.
Status judge_hello(const Identity& self, const Membership& membership, const wire::Hello& remote,
                   raft::NodeId dialed);

// True when `remote` is of another cluster that counts this node's address among its members: two
// clusters are fighting over one machine.  Names do not count: every cluster has a node1.
bool claims_us(const Identity& self, const wire::Hello& remote);

wire::Hello make_hello(const Identity& self, const Membership& membership);

}  // namespace kvstore::node
