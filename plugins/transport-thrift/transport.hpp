// One transport instance: the peers that are dialled, the server that is dialled, the streams.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "context.hpp"
#include "peer.hpp"
#include "server.hpp"
#include "tx_stream.hpp"

namespace kvstore::transport_thrift {

// Lifecycle and threads as kvs_transport_api says.  Failures are thrown as sdk::Error, but for
// send().
class Transport {
 public:
  Transport(const kvs_host* host, const kvs_transport_options& options) : context_(host, options) {}
  ~Transport();

  void start();
  void stop();
  Context& context() { return context_; }
  std::string bound_address() const;
  std::string stats() const;

  void peer_set(const kvs_peer& peer);
  void peer_remove(kvs_node_id id);
  kvs_status send(kvs_node_id to, uint32_t lane, const kvs_tx_message* m, uint32_t n,
                  uint32_t* accepted, kvs_error* err);

  std::unique_ptr<TxStream> stream_open(kvs_node_id to, const kvs_slice& header,
                                        uint64_t total_bytes, uint32_t timeout_ms);
  // Every stream that was opened must be given back.
  void stream_close(std::unique_ptr<TxStream> stream);

 private:
  enum class Phase { kOpen, kRunning, kStopped };
  using Peers = std::unordered_map<kvs_node_id, std::shared_ptr<Peer>>;

  std::shared_ptr<Peer> find(kvs_node_id id) const;
  void reap();

  Context context_;
  Server server_{context_, [this](kvs_node_id id) {
                   if (auto peer = find(id)) peer->poke();
                 }};

  std::mutex control_mutex_;  // peer_set, peer_remove, start, stop: one at a time
  mutable std::shared_mutex peers_mutex_;
  std::atomic<Phase> phase_{Phase::kOpen};
  Peers peers_;
  std::vector<std::shared_ptr<Peer>>
      removed_;  // closed, but their link thread may still look up a name

  std::mutex streams_mutex_;
  std::set<TxStream*> streams_;
};

}  // namespace kvstore::transport_thrift
