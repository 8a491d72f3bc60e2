#include <map>
#include <utility>

#include "base/log.hpp"
#include "node/node.hpp"

namespace kvstore::node {

// Whether messages of this peer may be heard; a node without a cluster joins the one that first
// talks to it.
bool Node::accept_cluster_of(raft::NodeId from) {
  const PeerInfo* peer = peers_.find(from);
  if (peer == nullptr || peer->hello.node != from.value) return false;
  if (!identity_.joined()) {
    return peer->hello.cluster != wire::ClusterId{} && adopt(peer->hello.cluster);
  }
  // A peer that had no cluster at its hello can have joined ours only.
  return peer->hello.cluster == identity_.cluster || peer->hello.cluster == wire::ClusterId{};
}

bool Node::adopt(const wire::ClusterId& cluster) {
  Identity joined = identity_;
  joined.cluster = cluster;
  if (Status saved = ports_.observer->save_identity(joined); !saved) {
    fail(saved);
    return false;
  }
  identity_ = std::move(joined);
  KVS_LOG(kInfo, "node", "joined cluster={}", cluster_id_text(cluster));
  refresh_dialing();
  publish_view();
  return true;
}

void Node::set_api_addresses(std::vector<std::pair<std::string, std::string>> addresses) {
  identity_.api_addresses = std::move(addresses);
  publish_view();
}

void Node::on_connected(raft::NodeId peer) {
  peers_.set_connected(peer, true);
  if (!is_provisional(peer)) step(raft::PeerConnected{peer});
  if (peer == raft_->leader()) publish_view();
}

void Node::on_disconnected(raft::NodeId peer) {
  peers_.set_connected(peer, false);
  if (is_provisional(peer)) return;
  settle_removals();
  forwards_.on_disconnected(peer);
  step(raft::PeerUnreachable{peer});
}

void Node::on_peer_writable(raft::NodeId peer, Lane lane) {
  if (lane == Lane::kLog) step(raft::PeerConnected{peer});
}

void Node::on_rejected(const Status& why) {
  if (why.code() == Code::kBusy) return;  // it is starting: the next attempt will do
  if (peers_.refusal() != why.message()) {
    KVS_LOG(kWarn, "node", "a peer refuses this node: {}", why.message());
  }
  peers_.set_refusal(why.message());
}

void Node::on_hello(const wire::Hello& hello) {
  peers_.on_hello(hello);
  bind_admitted(hello);
  if (membership_.find({hello.node}) == nullptr) refresh_dialing();
  if (raft::NodeId{hello.node} == raft_->leader()) publish_view();
}

void Node::on_foreign_hello(const wire::Hello& hello) {
  if (foreign_.empty()) {
    KVS_LOG(kError, "node", "cluster {} counts this node's address {} as its own: serving stops",
            cluster_id_text(hello.cluster), identity_.raft_address);
  }
  foreign_until_ms_ = ports_.clock->now_ms() + kForeignClaimMs;
  foreign_ = "foreign_cluster: node '" + hello.name + "' of cluster " +
             cluster_id_text(hello.cluster) + " takes this node for a member of its own";
}

void Node::check_foreign_claim(uint64_t now_ms) {
  if (foreign_.empty()) return;
  if (now_ms < foreign_until_ms_) {
    // Again and again: a transfer may fail, and nothing keeps this node from being elected.
    hand_leadership_over();
    return;
  }
  KVS_LOG(kInfo, "node", "no other cluster claimed this node for {} s: serving again",
          kForeignClaimMs / 1000);
  foreign_.clear();
}

// The leader turns an admission into a learner once the node has shown its id.
void Node::bind_admitted(const wire::Hello& hello) {
  const Admission* admission = membership_.find_admission(hello.name);
  raft::NodeId id{hello.node};
  if (!leads() || admission == nullptr || membership_.is_removed(id) ||
      membership_.find(id) != nullptr) {
    return;
  }
  MemberInfo member{id, hello.name, admission->address};
  bool auto_promote = !admission->learner;
  manager_.enqueue(
      [member, auto_promote](Membership* membership, raft::Configuration* configuration) {
        Status bound = membership->bind(member);
        if (bound) {
          configuration->set({.id = member.id, .voter = false, .auto_promote = auto_promote});
        }
        return bound;
      },
      UINT64_MAX,
      [member](const Status& status) {
        KVS_LOG(kInfo, "node", "binding name={} id={:016x}: {}", member.name, member.id.value,
                status.to_string());
      });
}

void Node::refresh_dialing() {
  std::map<raft::NodeId, std::string> wanted;
  // An old configuration may show another member at what is this node's address now.
  auto want = [&](const MemberInfo& m) {
    if (m.id != identity_.id && m.address != identity_.raft_address)
      wanted.emplace(m.id, m.address);
  };
  for (const MemberInfo& m : membership_.members()) want(m);
  // A member on its way out is dialled until the change is committed, so that it can learn of it.
  if (raft_->configuration_change_pending()) {
    if (auto before = Membership::decode(raft_->configuration_at(raft_->applied_index()))) {
      for (const MemberInfo& m : before->members()) want(m);
    }
  }
  if (leads()) {
    for (const Admission& a : membership_.admissions()) {
      wanted[provisional_id(a.address)] = a.address;
    }
  }
  if (membership_.find(identity_.id) == nullptr) {
    for (const std::string& address : options_.peers) {
      bool known =
          membership_.find_address(address) != nullptr || address == identity_.raft_address;
      if (!known) wanted[provisional_id(address)] = address;
    }
  }
  // Whoever talks to us as one of our cluster gets answers, even while our configuration is older
  // than that: a joining node knows no member before its first entries.
  peers_.each([&](const wire::Hello& hello) {
    raft::NodeId id{hello.node};
    bool ours = identity_.joined() && hello.cluster == identity_.cluster;
    if (ours && membership_.find(id) == nullptr && !membership_.is_removed(id)) {
      wanted.emplace(id, hello.raft_address);
    }
  });
  peers_.dial(wanted);
  dialing_stale_ = raft_->configuration_change_pending();
}

}  // namespace kvstore::node
