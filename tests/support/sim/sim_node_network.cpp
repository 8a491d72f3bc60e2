// What a simulated node says to others and hears from them.
#include <algorithm>
#include <utility>

#include "node/outgoing_snapshot.hpp"
#include "support/sim/sim_node.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::sim {

// ---- transport

Status SimNode::send(raft::NodeId to, node::Lane lane, std::vector<wire::EncodedMessage> messages) {
  for (size_t i = 0; probe != nullptr && lane != node::Lane::kClient && i < messages.size(); ++i) {
    std::string bytes;
    for (const SharedBytes& part : messages[i].parts) bytes += part.view();
    Result<raft::Message> message = wire::decode_message(SharedBytes(std::move(bytes)));
    KVS_ASSERT(message.is_ok());
    probe->on_send(*this, *message);
  }
  return network_->send(this, to, lane, std::move(messages));
}

void SimNode::set_peer(raft::NodeId id, const std::string& address) {
  network_->dial(this, id, address);
}

void SimNode::remove_peer(raft::NodeId id) {
  network_->hang_up(this, id);
}

wire::Hello SimNode::hello() const {
  return node::make_hello(view_.identity, view_.membership);
}

Status SimNode::meet(const wire::Hello& remote, raft::NodeId dialed) {
  Status judged = node::judge_hello(view_.identity, view_.membership, remote,
                                    node::is_provisional(dialed) ? raft::kNoNode : dialed);
  if (node::claims_us(view_.identity, remote)) {
    enter_later(0, [remote](node::Node& n) { n.on_foreign_hello(remote); });
  }
  if (judged) enter_later(0, [remote](node::Node& n) { n.on_hello(remote); });
  return judged;
}

void SimNode::on_message(raft::NodeId from, SharedBytes payload) {
  enter_later(0,
              [from, payload = std::move(payload)](node::Node& n) { n.on_message(from, payload); });
}

void SimNode::on_connected(raft::NodeId peer) {
  enter_later(0, [peer](node::Node& n) { n.on_connected(peer); });
}

void SimNode::on_disconnected(raft::NodeId peer) {
  enter_later(0, [peer](node::Node& n) { n.on_disconnected(peer); });
}

void SimNode::on_writable(raft::NodeId peer, node::Lane lane) {
  enter_later(0, [peer, lane](node::Node& n) { n.on_peer_writable(peer, lane); });
}

void SimNode::on_rejected(const Status& why) {
  enter_later(0, [why](node::Node& n) { n.on_rejected(why); });
}

// ---- snapshots

void SimNode::send(raft::NodeId peer, raft::Term term) {
  later(world_->below(kMs), [this, peer, term] {
    Result<std::unique_ptr<kv::View>> view = store_->open_view();
    KVS_ASSERT(view.is_ok());
    Result<kv::AppliedMark> mark = (*view)->applied();
    Result<wire::SnapshotHeader> header = node::outgoing_header(*mark, term, id_, cluster_);
    if (!header) {
      KVS_ASSERT(header.status().code() == Code::kNotLeader);
      return enter_later(0, [peer](node::Node& n) { n.on_snapshot_sent(peer, false, {}); });
    }
    std::string bytes;
    Status written = wire::write_snapshot(**view, [&](Bytes chunk) {
      bytes += chunk;
      return Status::ok();
    });
    KVS_ASSERT(written.is_ok());
    ++streams_;
    network_->stream(this, peer, wire::encode_snapshot_header(*header), std::move(bytes),
                     [this, life = life_, peer, last = header->meta.last](Status status) {
                       if (life != life_) return;
                       --streams_;
                       enter_later(0, [peer, last, ok = status.is_ok()](node::Node& n) {
                         n.on_snapshot_sent(peer, ok, last);
                       });
                     });
  });
}

void SimNode::on_stream(raft::NodeId from, const std::string& header_bytes,
                        const std::string& bytes, std::function<void(Status)> done) {
  Result<wire::SnapshotHeader> header = wire::decode_snapshot_header(header_bytes);
  KVS_ASSERT(header.is_ok() && header->from == from.value);
  if (receiving_) return done(Status(Code::kBusy, "another snapshot is being received"));
  test::MemoryData data;
  wire::SnapshotReader reader([&](std::span<const wire::SnapshotPair> pairs) {
    for (const wire::SnapshotPair& p : pairs) {
      data.spaces[p.space].emplace(std::string(p.key), std::string(p.value));
    }
    return Status::ok();
  });
  Status read = reader.feed(bytes);
  if (read) read = reader.finish();
  if (!read) return done(read);
  receiving_ = true;
  auto staged = std::make_shared<std::unique_ptr<node::StagedSnapshot>>(
      std::make_unique<Staged>(std::move(data)));
  enter_later(0, [this, life = life_, staged, done = std::move(done),
                  header = std::move(*header)](node::Node& n) {
    n.on_snapshot_staged({{header.from}, {header.term}, header.meta}, header.cluster,
                         std::move(*staged), [this, life, done](Status status) {
                           if (life == life_) receiving_ = false;
                           done(std::move(status));
                         });
  });
}

}  // namespace kvstore::sim
