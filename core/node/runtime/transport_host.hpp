// Between the transport plugin and the Node: sends messages, judges hellos, passes events on.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "node/identity.hpp"
#include "node/ports.hpp"
#include "node/runtime/peer_metrics.hpp"
#include "node/runtime/peer_sessions.hpp"
#include "node/runtime/raft_thread.hpp"
#include "plugin/transport.hpp"

namespace kvstore::node::runtime {

// Concurrency: TransportPort on the raft thread; events on the plugin's threads; the rest on any.
class TransportHost : public TransportPort, public plugin::TransportEvents {
 public:
  using StreamFn =
      std::function<Result<std::unique_ptr<plugin::RxStream>>(const kvs_stream_info& info)>;

  TransportHost(RaftThread* raft_thread, PeerMetrics* metrics)
      : raft_thread_(raft_thread), metrics_(metrics) {}

  // Before start: who we are; incoming connections are refused as BUSY until open_for_peers().
  void set_identity(const Identity& identity, const Membership& membership);
  // `node` takes events (on the raft thread, those since its construction included: it dials before
  // it can take an answer), `on_stream` incoming snapshots.  Call it before the raft thread starts.
  void open_for_peers(Node* node, StreamFn on_stream);
  void attach(plugin::Transport* transport) { transport_ = transport; }

  // Before open_for_peers(): a sentence about a dialled node that turned out to be in a cluster
  // already, either because it said so or because it refused a stranger; empty when there was none.
  std::string cluster_found() const;

  // ---- TransportPort
  Status send(raft::NodeId to, Lane lane, std::vector<wire::EncodedMessage> messages) override;
  void set_peer(raft::NodeId id, const std::string& address) override;
  void remove_peer(raft::NodeId id) override;

  // ---- TransportEvents
  void on_messages(std::span<plugin::RxMessage> messages) override;
  void on_peer(const kvs_peer_event& event) override;
  Result<kvs_node_id> on_hello(const kvs_hello& hello) override;
  Result<std::unique_ptr<plugin::RxStream>> on_stream(const kvs_stream_info& info) override;

 private:
  void note_refusal(const kvs_peer_event& event);
  void tell_node(std::function<void(Node&)> event);

  RaftThread* raft_thread_;
  PeerMetrics* metrics_;
  plugin::Transport* transport_ = nullptr;

  mutable std::mutex mutex_;
  Identity identity_;
  Membership membership_;
  Node* node_ = nullptr;
  StreamFn on_stream_;
  std::string cluster_found_;
  PeerSessions sessions_;
};

}  // namespace kvstore::node::runtime
