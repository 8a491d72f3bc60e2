// Which events of a transport still count: those of dialled peers and their newest session
// (kvstore/abi/transport.h, kvs_peer_event.session).
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

namespace kvstore::node::runtime {

class PeerSessions {  // [any-thread]
 public:
  void dialed(uint64_t peer) {
    std::lock_guard lock(mutex_);
    newest_.emplace(peer, 0);
  }
  void forget(uint64_t peer) {
    std::lock_guard lock(mutex_);
    newest_.erase(peer);
  }
  // False for a peer that is not dialled and for a session that a newer one replaced.
  bool is_current(uint64_t peer, uint64_t session) {
    std::lock_guard lock(mutex_);
    auto it = newest_.find(peer);
    if (it == newest_.end() || session < it->second) return false;
    it->second = session;
    return true;
  }

 private:
  std::mutex mutex_;
  std::map<uint64_t, uint64_t> newest_;
};

}  // namespace kvstore::node::runtime
