// Who belongs to the cluster, and who this node is.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "node/membership.hpp"
#include "node/runtime/identity_file.hpp"
#include "scratch_dir.hpp"
#include "target.hpp"

namespace kvstore::fuzz {
namespace {

// A configuration and the membership in its context.
void run_membership(Bytes input) {
  const auto configuration = raft::Configuration::decode(input);
  if (!configuration) return assert_says_why(configuration.status());
  KVS_ASSERT(configuration->encode() == input);
  KVS_ASSERT(configuration->is_valid());
  const auto membership = node::Membership::decode(*configuration);
  if (!membership) return assert_says_why(membership.status());
  const bool none = configuration->members.empty() && configuration->context.empty();
  if (!none) KVS_ASSERT(membership->encode_context() == configuration->context);
  KVS_ASSERT(membership->members().size() == configuration->members.size());
  for (const raft::Member& member : configuration->members) {
    KVS_ASSERT(membership->find(member.id) != nullptr);
  }
}

void seed_membership(Seeds* out) {
  out->push_back(raft::Configuration{}.encode());
  raft::Configuration c = node::Membership::bootstrap({{7}, "node1", "127.0.0.1:7001"});
  out->push_back(c.encode());
  auto membership = node::Membership::decode(c).value();
  for (uint64_t id = 8; id < 11; ++id) {
    const std::string name = "node" + std::to_string(id), address = name + ":7001";
    KVS_ASSERT(membership.admit({name, address, id == 10}).is_ok());
    if (id == 10) break;
    KVS_ASSERT(membership.bind({{id}, name, address}).is_ok());
    c.set({.id = {id}, .voter = id == 8, .auto_promote = id == 9});
  }
  membership.remove({5});
  c.context = membership.encode_context();
  out->push_back(c.encode());
}

// node.json
void run_identity(Bytes input) {
  static const ScratchDir dir;
  dir.write("node.json", input);
  const auto identity = node::runtime::read_identity(dir.path());
  if (!identity) return assert_says_why(identity.status());
  KVS_ASSERT(identity->has_value());
  const node::runtime::IdentityFile& first = **identity;
  KVS_ASSERT(static_cast<bool>(first.id) && !node::is_provisional(first.id));
  KVS_ASSERT(node::runtime::write_identity(dir.path(), first).is_ok());
  const auto again = node::runtime::read_identity(dir.path());
  KVS_ASSERT(again.is_ok() && again->has_value());
  const node::runtime::IdentityFile& second = **again;
  KVS_ASSERT(first.id == second.id && first.cluster == second.cluster);
  KVS_ASSERT(first.name == second.name && first.log_plugin == second.log_plugin);
  KVS_ASSERT(first.state_plugin == second.state_plugin);
}

void seed_identity(Seeds* out) {
  const ScratchDir dir;
  node::runtime::IdentityFile identity;
  identity.id = {0x1234};
  identity.name = "node1";
  identity.log_plugin = "kvstore.storage-leveldb";
  identity.state_plugin = "kvstore.storage-sqlite";
  for (const uint8_t fill : {uint8_t{0}, uint8_t{0x5a}}) {
    identity.cluster.fill(fill);
    KVS_ASSERT(node::runtime::write_identity(dir.path(), identity).is_ok());
    std::ifstream in(dir.path() + "/node.json", std::ios::binary);
    out->emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
}

constexpr Target kTargets[] = {
    {"membership", run_membership, seed_membership},
    {"identity", run_identity, seed_identity},
};

}  // namespace

std::span<const Target> node_targets() {
  return kTargets;
}

}  // namespace kvstore::fuzz
