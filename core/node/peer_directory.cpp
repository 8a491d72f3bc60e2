#include "node/peer_directory.hpp"

namespace kvstore::node {

void PeerDirectory::set_connected(raft::NodeId id, bool connected) {
  if (is_provisional(id)) return;
  peers_[id].connected = connected;
  if (connected) refusal_.clear();
}

const PeerInfo* PeerDirectory::find(raft::NodeId id) const {
  auto it = peers_.find(id);
  return it == peers_.end() ? nullptr : &it->second;
}

void PeerDirectory::dial(const std::map<raft::NodeId, std::string>& wanted) {
  for (auto it = dialed_.begin(); it != dialed_.end();) {
    if (wanted.count(it->first) != 0) {
      ++it;
      continue;
    }
    transport_->remove_peer(it->first);
    peers_.erase(it->first);
    it = dialed_.erase(it);
  }
  for (const auto& [id, address] : wanted) {
    std::string& current = dialed_[id];
    if (current == address) continue;
    current = address;
    transport_->set_peer(id, address);
  }
  // Hellos of strangers are remembered only as long as they are few.
  for (auto it = peers_.begin(); peers_.size() > kPeersMax && it != peers_.end();) {
    it = dialed_.count(it->first) == 0 ? peers_.erase(it) : std::next(it);
  }
}

}  // namespace kvstore::node
