// What a node learned about others from their hellos and connections, and which of them it dials.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "node/identity.hpp"
#include "node/ports.hpp"

namespace kvstore::node {

struct PeerInfo {
  wire::Hello hello;       // the newest
  bool connected = false;  // our connection to it stands
};

class PeerDirectory {
 public:
  explicit PeerDirectory(TransportPort* transport) : transport_(transport) {}

  void on_hello(const wire::Hello& hello) { peers_[{hello.node}].hello = hello; }
  void set_connected(raft::NodeId id, bool connected);
  // nullptr when nothing is known.
  const PeerInfo* find(raft::NodeId id) const;

  template <typename Fn>
  void each(Fn fn) const {
    for (const auto& [id, peer] : peers_) fn(peer.hello);
  }

  // Dials exactly these: members by id, addresses under provisional ids.
  void dial(const std::map<raft::NodeId, std::string>& wanted);

  // The last refusal that another node told us ("not admitted yet..."); empty after a connection
  // stood.
  void set_refusal(std::string message) { refusal_ = std::move(message); }
  const std::string& refusal() const { return refusal_; }

 private:
  static constexpr size_t kPeersMax = 256;

  TransportPort* transport_;
  std::map<raft::NodeId, PeerInfo> peers_;
  std::map<raft::NodeId, std::string> dialed_;
  std::string refusal_;
};

}  // namespace kvstore::node
