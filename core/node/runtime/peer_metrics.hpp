// Traffic with every peer as metrics, whatever transport carries it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <kvstore/abi/host.h>

#include "node/ports.hpp"

namespace kvstore::node::runtime {

// Series carry {peer="<id>"}; kvstore_peer_info{peer,node_id} names it.  The first kPeersMax peers
// of a process are counted, which are more than a cluster has in its life.  [any-thread]
class PeerMetrics {
 public:
  // `metrics` may be null: then nothing happens.
  explicit PeerMetrics(const kvs_metrics* metrics) : metrics_(metrics) {}

  // Of what was handed to the transport: what it took, and what it refused.
  void on_sent(raft::NodeId peer, Lane lane, uint64_t messages, uint64_t bytes, uint64_t refused);
  void on_received(raft::NodeId peer, uint64_t bytes);
  void set_connected(raft::NodeId peer, bool connected);
  void set_name(raft::NodeId peer, const std::string& name);
  // What a leader knows of the peer; zeros on any other node.
  void set_progress(raft::NodeId peer, uint64_t match_index, uint64_t lag_entries, bool active);

 private:
  static constexpr size_t kPeersMax = 64;
  static constexpr size_t kLanes = 3;
  struct Series {
    std::array<uint64_t, kLanes> sent_messages{}, sent_bytes{}, refused_messages{};
    uint64_t received_messages = 0, received_bytes = 0, connected = 0;
    uint64_t match_index = 0, lag_entries = 0, active = 0;
    bool named = false;
  };
  Series* of(raft::NodeId peer);
  uint64_t make(uint32_t kind, const char* name, const char* help, const std::string& labels);
  void add(uint64_t handle, uint64_t value);
  void set(uint64_t handle, uint64_t value);

  const kvs_metrics* metrics_;
  std::mutex mutex_;  // guards the map; what it points to stays
  std::map<raft::NodeId, std::unique_ptr<Series>> peers_;
};

}  // namespace kvstore::node::runtime
