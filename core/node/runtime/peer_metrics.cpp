#include "node/runtime/peer_metrics.hpp"

#include <fmt/format.h>

namespace kvstore::node::runtime {
namespace {

constexpr const char* kLaneNames[] = {"control", "log", "client"};

}  // namespace

uint64_t PeerMetrics::make(uint32_t kind, const char* name, const char* help,
                           const std::string& labels) {
  uint64_t handle = 0;
  const kvs_status made =
      metrics_->series(metrics_->ctx, kind, name, help, labels.c_str(), &handle);
  KVS_ASSERT(made == KVS_OK);
  return handle;
}

void PeerMetrics::add(uint64_t handle, uint64_t value) {
  if (value != 0) metrics_->add(metrics_->ctx, handle, static_cast<double>(value));
}

void PeerMetrics::set(uint64_t handle, uint64_t value) {
  metrics_->set(metrics_->ctx, handle, static_cast<double>(value));
}

PeerMetrics::Series* PeerMetrics::of(raft::NodeId peer) {
  if (metrics_ == nullptr || is_provisional(peer)) return nullptr;
  std::lock_guard lock(mutex_);
  auto found = peers_.find(peer);
  if (found != peers_.end()) return found->second.get();
  if (peers_.size() >= kPeersMax) return nullptr;
  auto s = std::make_unique<Series>();
  const std::string labels = fmt::format(R"(peer="{:016x}")", peer.value);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const std::string with_lane = fmt::format(R"({},lane="{}")", labels, kLaneNames[lane]);
    s->sent_messages[lane] = make(KVS_METRIC_COUNTER, "kvstore_peer_sent_messages_total",
                                  "Messages handed to the transport for the peer.", with_lane);
    s->sent_bytes[lane] = make(KVS_METRIC_COUNTER, "kvstore_peer_sent_bytes_total",
                               "Bytes handed to the transport for the peer.", with_lane);
    s->refused_messages[lane] =
        make(KVS_METRIC_COUNTER, "kvstore_peer_refused_messages_total",
             "Messages that the transport did not take: not connected, or queue full.", with_lane);
  }
  s->received_messages = make(KVS_METRIC_COUNTER, "kvstore_peer_received_messages_total",
                              "Messages received from the peer.", labels);
  s->received_bytes = make(KVS_METRIC_COUNTER, "kvstore_peer_received_bytes_total",
                           "Bytes received from the peer.", labels);
  s->connected = make(KVS_METRIC_GAUGE, "kvstore_peer_connected",
                      "1 while this node is connected to the peer.", labels);
  s->match_index = make(KVS_METRIC_GAUGE, "kvstore_peer_match_index",
                        "Leader: newest log index that the peer has on its disk.", labels);
  s->lag_entries = make(KVS_METRIC_GAUGE, "kvstore_peer_lag_entries",
                        "Leader: log entries that the peer does not have yet.", labels);
  s->active = make(KVS_METRIC_GAUGE, "kvstore_peer_active",
                   "Leader: 1 while the peer answers and counts.", labels);
  return peers_.emplace(peer, std::move(s)).first->second.get();
}

void PeerMetrics::on_sent(raft::NodeId peer, Lane lane, uint64_t messages, uint64_t bytes,
                          uint64_t refused) {
  Series* s = of(peer);
  if (s == nullptr) return;
  const auto i = static_cast<size_t>(lane);
  add(s->sent_messages[i], messages);
  add(s->sent_bytes[i], bytes);
  add(s->refused_messages[i], refused);
}

void PeerMetrics::on_received(raft::NodeId peer, uint64_t bytes) {
  Series* s = of(peer);
  if (s == nullptr) return;
  add(s->received_messages, 1);
  add(s->received_bytes, bytes);
}

void PeerMetrics::set_connected(raft::NodeId peer, bool connected) {
  if (Series* s = of(peer)) set(s->connected, connected ? 1 : 0);
}

void PeerMetrics::set_name(raft::NodeId peer, const std::string& name) {
  Series* s = of(peer);
  if (s == nullptr || s->named) return;
  s->named = true;
  std::string text;
  for (const char c : name) {
    if (c == '"' || c == '\\') text.push_back('\\');
    text.append(c == '\n' ? "\\n" : std::string(1, c));
  }
  set(make(KVS_METRIC_GAUGE, "kvstore_peer_info", "1; which node a peer's id belongs to.",
           fmt::format(R"(peer="{:016x}",node_id="{}")", peer.value, text)),
      1);
}

void PeerMetrics::set_progress(raft::NodeId peer, uint64_t match_index, uint64_t lag_entries,
                               bool active) {
  Series* s = of(peer);
  if (s == nullptr) return;
  set(s->match_index, match_index);
  set(s->lag_entries, lag_entries);
  set(s->active, active ? 1 : 0);
}

}  // namespace kvstore::node::runtime
