#include "node/identity.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "wire/frame.hpp"

namespace kvstore::node {

raft::NodeId provisional_id(const std::string& address) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a: ids need no strength, only to differ
  for (char c : address) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return {hash | (uint64_t{1} << 63)};
}

bool claims_us(const Identity& self, const wire::Hello& remote) {
  if (!self.joined() || remote.cluster == wire::ClusterId{} || remote.cluster == self.cluster) {
    return false;
  }
  return std::any_of(remote.members.begin(), remote.members.end(),
                     [&](const wire::HelloMember& m) { return m.address == self.raft_address; });
}

Status judge_hello(const Identity& self, const Membership& membership, const wire::Hello& remote,
                   raft::NodeId dialed) {
  if (remote.node == 0 || is_provisional({remote.node})) {
    return {Code::kInvalid, "the hello carries no valid node id"};
  }
  raft::NodeId id{remote.node};
  if (id == self.id) {
    return {Code::kInvalid, fmt::format("{} has the same id as {}: was a data directory copied?",
                                        remote.name, self.name)};
  }
  if (dialed && dialed != id) {
    return {Code::kConflict,
            fmt::format("another node ('{}', id {:x}) answers at the address of id {:x}",
                        remote.name, id.value, dialed.value)};
  }
  bool remote_joined = remote.cluster != wire::ClusterId{};
  if (self.joined() && remote_joined && self.cluster != remote.cluster) {
    return {Code::kIncompatible, fmt::format("'{}' belongs to cluster {}, '{}' to cluster {}",
                                             self.name, cluster_id_text(self.cluster), remote.name,
                                             cluster_id_text(remote.cluster))};
  }
  if (!self.joined()) return Status::ok();
  if (membership.is_removed(id)) {
    return {Code::kClosed,
            fmt::format("'{}' was removed from the cluster: to come back it needs an empty data "
                        "directory and to be added again",
                        remote.name)};
  }
  // While this node lags behind it may not know a member that others know: a joined node of the
  // same cluster is let in, consensus checks every message by its term anyway.
  if (membership.find(id) != nullptr || remote_joined) return Status::ok();
  if (membership.find_name(remote.name) != nullptr) {
    return {Code::kConflict,
            fmt::format("the name '{}' is bound to another node: this one has a wiped or a "
                        "duplicate data directory; remove '{}' and add it again",
                        remote.name, remote.name)};
  }
  if (membership.find_admission(remote.name) == nullptr) {
    return {Code::kNotFound,
            fmt::format("'{}' is not admitted yet: add it with POST /api/v1/cluster/nodes",
                        remote.name)};
  }
  return Status::ok();
}

wire::Hello make_hello(const Identity& self, const Membership& membership) {
  wire::Hello hello;
  hello.cluster = self.cluster;
  hello.version_min = wire::kVersionMin;
  hello.version_max = wire::kVersionMax;
  hello.node = self.id.value;
  hello.name = self.name;
  hello.raft_address = self.raft_address;
  hello.api_addresses = self.api_addresses;
  hello.plugins = self.plugins;
  for (const MemberInfo& m : membership.members()) {
    hello.members.push_back({m.id.value, m.name, m.address});
  }
  return hello;
}

}  // namespace kvstore::node
