#include "transport.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace kvstore::transport_thrift {

namespace {
constexpr uint32_t kRejectFlags = 0xffff0000u;
}

Transport::~Transport() {
  stop();
  if (!streams_.empty()) {
    context_.host.log(KVS_LEVEL_HOST_BUG,
                      "close: an outgoing stream was neither finished nor aborted");
  }
}

void Transport::start() {
  std::lock_guard control(control_mutex_);
  if (phase_.load() != Phase::kOpen)
    throw sdk::Error(KVS_E_INVALID, "start: called twice or after stop");
  server_.start();
  std::unique_lock lock(peers_mutex_);
  for (auto& [id, peer] : peers_) peer->start();
  phase_.store(Phase::kRunning);
}

void Transport::stop() {
  std::lock_guard control(control_mutex_);
  phase_.store(Phase::kStopped);
  {
    std::lock_guard lock(streams_mutex_);
    for (TxStream* stream : streams_) stream->cancel();
  }
  Peers peers;
  {
    std::unique_lock lock(peers_mutex_);
    peers.swap(peers_);
  }
  for (auto& [id, peer] : peers) peer->close();
  server_.stop();
  for (auto& [id, peer] : peers) peer->join();
  for (auto& peer : removed_) peer->join();
  removed_.clear();
}

std::string Transport::bound_address() const {
  if (phase_.load() != Phase::kRunning)
    throw sdk::Error(KVS_E_CLOSED, "the transport is not listening");
  return server_.bound().text();
}

std::shared_ptr<Peer> Transport::find(kvs_node_id id) const {
  std::shared_lock lock(peers_mutex_);
  auto it = peers_.find(id);
  return it == peers_.end() ? nullptr : it->second;
}

// Joins removed peers whose thread has ended.
void Transport::reap() {
  std::erase_if(removed_, [](const std::shared_ptr<Peer>& peer) {
    if (!peer->finished()) return false;
    peer->join();
    return true;
  });
}

void Transport::peer_set(const kvs_peer& peer) {
  if (peer.id == 0) throw sdk::Error(KVS_E_INVALID, "0 is never a valid node id");
  if ((peer.flags & kRejectFlags) != 0) throw sdk::Error(KVS_E_UNSUPPORTED, "unknown peer flags");
  Address address = parse_address(sdk::view(peer.address));
  if (address.port == 0)
    throw sdk::Error(KVS_E_INVALID, "address '" + address.text() + "': port 0");
  std::lock_guard control(control_mutex_);
  if (phase_.load() == Phase::kStopped) throw sdk::Error(KVS_E_CLOSED, "the transport was stopped");
  reap();
  if (auto known = find(peer.id)) return known->set_address(address);
  if (peers_.size() + removed_.size() >= context_.settings.peers_max) {
    throw sdk::Error(KVS_E_BUSY, "there are " + std::to_string(peers_.size()) +
                                     " peers already; the option peers_max sets the limit");
  }
  auto added = std::make_shared<Peer>(context_, peer.id, std::move(address));
  if (phase_.load() == Phase::kRunning) added->start();
  std::unique_lock lock(peers_mutex_);
  peers_.emplace(peer.id, std::move(added));
}

void Transport::peer_remove(kvs_node_id id) {
  std::lock_guard control(control_mutex_);
  if (phase_.load() == Phase::kStopped) throw sdk::Error(KVS_E_CLOSED, "the transport was stopped");
  reap();
  std::shared_ptr<Peer> peer;
  {
    std::unique_lock lock(peers_mutex_);
    auto it = peers_.find(id);
    if (it != peers_.end()) {
      peer = std::move(it->second);
      peers_.erase(it);
    }
  }
  if (peer != nullptr) {
    peer->close();
    removed_.push_back(std::move(peer));
  }
  server_.disconnect(id);
}

kvs_status Transport::send(kvs_node_id to, uint32_t lane, const kvs_tx_message* m, uint32_t n,
                           uint32_t* accepted, kvs_error* err) {
  *accepted = 0;
  if (lane >= KVS_LANE_COUNT) return sdk::fail(err, KVS_E_INVALID, "there is no such lane");
  if (phase_.load(std::memory_order_relaxed) == Phase::kStopped) {
    return sdk::fail(err, KVS_E_CLOSED, "the transport was stopped");
  }
  std::shared_ptr<Peer> peer = find(to);
  if (peer == nullptr) return sdk::fail(err, KVS_E_UNREACHABLE, "the peer is not known");
  return peer->send(lane, m, n, accepted, err);
}

std::unique_ptr<TxStream> Transport::stream_open(kvs_node_id to, const kvs_slice& header,
                                                 uint64_t total_bytes, uint32_t timeout_ms) {
  std::shared_ptr<Peer> peer = find(to);
  if (phase_.load() != Phase::kRunning)
    throw sdk::Error(KVS_E_CLOSED, "the transport is not running");
  if (peer == nullptr) throw sdk::Error(KVS_E_UNREACHABLE, "the peer is not known");
  auto stream = std::make_unique<TxStream>(context_);
  {
    std::lock_guard lock(streams_mutex_);
    streams_.insert(stream.get());
  }
  if (phase_.load() != Phase::kRunning) stream->cancel();  // stop() may have come before the insert
  try {
    stream->open(to, peer->address(), header, total_bytes, timeout_ms);
  } catch (...) {
    stream_close(std::move(stream));
    throw;
  }
  return stream;
}

void Transport::stream_close(std::unique_ptr<TxStream> stream) {
  std::lock_guard lock(streams_mutex_);
  streams_.erase(stream.get());
}

std::string Transport::stats() const {
  const Counters& c = context_.counters;
  nlohmann::json out = {{"messages_sent", c.messages_sent.load()},
                        {"messages_received", c.messages_received.load()},
                        {"frames_sent", c.frames_sent.load()},
                        {"frames_received", c.frames_received.load()},
                        {"bytes_sent", c.bytes_sent.load()},
                        {"bytes_received", c.bytes_received.load()},
                        {"messages_dropped", c.messages_dropped.load()},
                        {"sends_refused", c.sends_refused.load()},
                        {"sessions", c.sessions.load()},
                        {"hellos_refused", c.hellos_refused.load()},
                        {"incoming_connections_closed", c.connections_closed.load()},
                        {"incoming_connections", server_.connections()},
                        {"incoming_streams", context_.incoming_streams.load()},
                        {"peers", nlohmann::json::array()}};
  std::shared_lock lock(peers_mutex_);
  for (const auto& [id, peer] : peers_) {
    Peer::Status s = peer->status();
    // Ids use 63 bits, more than a JSON number carries safely.
    out["peers"].push_back({{"id", std::to_string(id)},
                            {"address", peer->address().text()},
                            {"connected", s.session != 0},
                            {"session", s.session},
                            {"queued_bytes", s.queued_bytes},
                            {"trouble", s.trouble}});
  }
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace kvstore::transport_thrift
