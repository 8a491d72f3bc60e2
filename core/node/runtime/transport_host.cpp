#include "node/runtime/transport_host.hpp"

#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"

namespace kvstore::node::runtime {
namespace {

// A gather list that lives as long as the transport needs it.
struct OwnedMessage {
  std::vector<SharedBytes> parts;
  std::vector<kvs_slice> slices;
};

void release_owned(void* owner) noexcept {
  delete static_cast<OwnedMessage*>(owner);
}

}  // namespace

void TransportHost::set_identity(const Identity& identity, const Membership& membership) {
  std::string hello;
  {
    std::lock_guard lock(mutex_);
    identity_ = identity;
    membership_ = membership;
  }
  if (transport_ == nullptr) return;
  Result<std::string> encoded = wire::encode_hello(make_hello(identity, membership));
  Status set = encoded ? transport_->set_hello(*encoded) : encoded.status();
  if (!set) KVS_LOG(kError, "transport", "the hello was not updated: {}", set.to_string());
}

void TransportHost::open_for_peers(Node* node, StreamFn on_stream) {
  std::lock_guard lock(mutex_);
  node_ = node;
  on_stream_ = std::move(on_stream);
}

std::string TransportHost::cluster_found() const {
  std::lock_guard lock(mutex_);
  return cluster_found_;
}

Status TransportHost::send(raft::NodeId to, Lane lane, std::vector<wire::EncodedMessage> messages) {
  std::vector<kvs_tx_message> raw;
  std::vector<uint64_t> bytes;
  raw.reserve(messages.size());
  bytes.reserve(messages.size());
  for (wire::EncodedMessage& m : messages) {
    bytes.push_back(m.bytes);
    auto* owned = new OwnedMessage{std::move(m.parts), {}};
    owned->slices.reserve(owned->parts.size());
    for (const SharedBytes& part : owned->parts)
      owned->slices.push_back(plugin::to_slice(part.view()));
    kvs_tx_message tx{};
    tx.parts = owned->slices.data();
    tx.part_count = static_cast<uint32_t>(owned->slices.size());
    tx.owner = owned;
    tx.release = release_owned;
    raw.push_back(tx);
  }
  uint32_t accepted = 0;
  Status status = transport_->send_raw(to.value, static_cast<uint32_t>(lane), raw, &accepted);
  for (size_t i = accepted; i < raw.size(); ++i) release_owned(raw[i].owner);
  metrics_->on_sent(to, lane, accepted,
                    std::accumulate(bytes.begin(), bytes.begin() + accepted, uint64_t{0}),
                    raw.size() - accepted);
  return status;
}

void TransportHost::set_peer(raft::NodeId id, const std::string& address) {
  sessions_.dialed(id.value);
  if (Status s = transport_->peer_set(id.value, address); !s) {
    KVS_LOG(kError, "transport", "peer {:016x} at {}: {}", id.value, address, s.to_string());
  }
}

void TransportHost::remove_peer(raft::NodeId id) {
  metrics_->set_connected(id, false);
  sessions_.forget(id.value);
  if (Status s = transport_->peer_remove(id.value); !s) {
    KVS_LOG(kError, "transport", "removing peer {:016x}: {}", id.value, s.to_string());
  }
}

void TransportHost::on_messages(std::span<plugin::RxMessage> messages) {
  std::vector<IncomingMessage> batch;
  batch.reserve(messages.size());
  for (plugin::RxMessage& m : messages) {
    metrics_->on_received({m.from}, m.payload.size());
    batch.push_back({{m.from}, std::move(m.payload)});
  }
  raft_thread_->post_messages(std::move(batch));
}

void TransportHost::tell_node(std::function<void(Node&)> event) {
  raft_thread_->post([this, event = std::move(event)] {
    Node* node = nullptr;
    {
      std::lock_guard lock(mutex_);
      node = node_;
    }
    if (node != nullptr) event(*node);
  });
}

// A node without a cluster takes every hello, so one that refuses ours has a cluster (or is just
// starting).
void TransportHost::note_refusal(const kvs_peer_event& event) {
  std::lock_guard lock(mutex_);
  if (node_ != nullptr || event.why == KVS_E_BUSY || !cluster_found_.empty()) return;
  cluster_found_ = fmt::format("a peer is in a cluster and refuses this node ({})",
                               plugin::to_bytes(event.message));
}

void TransportHost::on_peer(const kvs_peer_event& event) {
  raft::NodeId peer{event.peer};
  if (event.kind != KVS_PEER_REJECTED && !sessions_.is_current(event.peer, event.session)) return;
  switch (event.kind) {
    case KVS_PEER_CONNECTED:
      metrics_->set_connected(peer, true);
      tell_node([peer](Node& node) { node.on_connected(peer); });
      break;
    case KVS_PEER_DISCONNECTED:
      metrics_->set_connected(peer, false);
      tell_node([peer](Node& node) { node.on_disconnected(peer); });
      break;
    case KVS_PEER_WRITABLE:
      tell_node([peer, lane = static_cast<Lane>(event.lane)](Node& node) {
        node.on_peer_writable(peer, lane);
      });
      break;
    case KVS_PEER_REJECTED:
      note_refusal(event);
      tell_node(
          [why = Status(plugin::to_code(event.why), std::string(plugin::to_bytes(event.message)))](
              Node& node) { node.on_rejected(why); });
      break;
    default:
      break;
  }
}

Result<kvs_node_id> TransportHost::on_hello(const kvs_hello& hello) {
  Result<wire::Hello> remote = wire::decode_hello(plugin::to_bytes(hello.remote));
  if (!remote) return remote.status();
  Identity identity;
  Membership membership;
  Node* node = nullptr;
  {
    std::lock_guard lock(mutex_);
    identity = identity_;
    membership = membership_;
    node = node_;
    if (node == nullptr && remote->cluster != wire::ClusterId{} && cluster_found_.empty()) {
      cluster_found_ = fmt::format("{} ('{}') belongs to cluster {}", remote->raft_address,
                                   remote->name, cluster_id_text(remote->cluster));
    }
  }
  if (node == nullptr && hello.incoming != 0) return Status(Code::kBusy, "this node is starting");
  raft::NodeId dialed{hello.dialed};
  Status judged =
      judge_hello(identity, membership, *remote, is_provisional(dialed) ? raft::kNoNode : dialed);
  if (node != nullptr && claims_us(identity, *remote)) {
    tell_node([hello_copy = *remote](Node& n) { n.on_foreign_hello(hello_copy); });
  }
  if (!judged) return judged;
  kvs_node_id peer = hello.incoming != 0 ? kvs_node_id{remote->node} : hello.dialed;
  tell_node([hello_copy = std::move(*remote)](Node& n) { n.on_hello(hello_copy); });
  return peer;
}

Result<std::unique_ptr<plugin::RxStream>> TransportHost::on_stream(const kvs_stream_info& info) {
  StreamFn accept;
  {
    std::lock_guard lock(mutex_);
    accept = on_stream_;
  }
  if (!accept) return Status(Code::kBusy, "this node is starting");
  return accept(info);
}

}  // namespace kvstore::node::runtime
