#include "node/membership.hpp"

#include <algorithm>

#include "base/codec.hpp"

namespace kvstore::node {
namespace {

constexpr uint8_t kFormat = 1;

void sort_by_name(std::vector<MemberInfo>* members) {
  std::sort(members->begin(), members->end(),
            [](const MemberInfo& a, const MemberInfo& b) { return a.name < b.name; });
}

Status check_labels(const std::string& name, const std::string& address) {
  if (!is_valid_label(name, Membership::kNameBytesMax)) {
    return {Code::kInvalid,
            "node_id must be 1 to 128 printable characters without spaces, quotes or slashes"};
  }
  size_t colon = address.rfind(':');
  if (!is_valid_label(address, Membership::kAddressBytesMax) || colon == std::string::npos ||
      colon == 0 || colon + 1 == address.size() ||
      address.find_first_not_of("0123456789", colon + 1) != std::string::npos) {
    return {Code::kInvalid, "address must be host:port"};
  }
  return Status::ok();
}

}  // namespace

bool is_valid_label(const std::string& text, size_t bytes_max) {
  if (text.empty() || text.size() > bytes_max) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '/' && c != '\\';
  });
}

raft::Configuration Membership::bootstrap(const MemberInfo& self) {
  Membership membership;
  membership.members_.push_back(self);
  raft::Configuration configuration;
  configuration.set({.id = self.id, .voter = true, .auto_promote = false});
  configuration.context = membership.encode_context();
  return configuration;
}

std::string Membership::encode_context() const {
  std::string out;
  Encoder e(&out);
  e.u8(kFormat);
  e.varint(members_.size());
  for (const MemberInfo& m : members_) {
    e.u64(m.id.value);
    e.bytes(m.name);
    e.bytes(m.address);
  }
  e.varint(admissions_.size());
  for (const Admission& a : admissions_) {
    e.bytes(a.name);
    e.bytes(a.address);
    e.u8(a.learner ? 1 : 0);
  }
  e.varint(removed_.size());
  for (raft::NodeId id : removed_) e.u64(id.value);
  return out;
}

Result<Membership> Membership::decode(const raft::Configuration& configuration) {
  Membership out;
  if (configuration.members.empty() && configuration.context.empty()) return out;
  Decoder d(configuration.context);
  if (d.u8() != kFormat) return Status(Code::kCorrupt, "membership: unknown format");
  for (uint64_t n = d.count(10); n > 0; --n) {
    MemberInfo m;
    m.id.value = d.u64();
    m.name = d.bytes();
    m.address = d.bytes();
    out.members_.push_back(std::move(m));
  }
  for (uint64_t n = d.count(3); n > 0; --n) {
    Admission a;
    a.name = d.bytes();
    a.address = d.bytes();
    const uint8_t learner = d.u8();
    if (learner > 1) d.fail();
    a.learner = learner == 1;
    out.admissions_.push_back(std::move(a));
  }
  for (uint64_t n = d.count(8); n > 0; --n) out.removed_.push_back({d.u64()});
  if (!d.done()) return Status(Code::kCorrupt, "membership: malformed");
  bool agree = out.members_.size() == configuration.members.size() &&
               std::all_of(configuration.members.begin(), configuration.members.end(),
                           [&](const raft::Member& m) { return out.find(m.id) != nullptr; });
  if (!agree) return Status(Code::kCorrupt, "membership: members and names differ");
  return out;
}

const MemberInfo* Membership::find(raft::NodeId id) const {
  auto it = std::find_if(members_.begin(), members_.end(),
                         [&](const MemberInfo& m) { return m.id == id; });
  return it == members_.end() ? nullptr : &*it;
}

const MemberInfo* Membership::find_name(const std::string& name) const {
  auto it = std::find_if(members_.begin(), members_.end(),
                         [&](const MemberInfo& m) { return m.name == name; });
  return it == members_.end() ? nullptr : &*it;
}

const MemberInfo* Membership::find_address(const std::string& address) const {
  auto it = std::find_if(members_.begin(), members_.end(),
                         [&](const MemberInfo& m) { return m.address == address; });
  return it == members_.end() ? nullptr : &*it;
}

const Admission* Membership::find_admission(const std::string& name) const {
  auto it = std::find_if(admissions_.begin(), admissions_.end(),
                         [&](const Admission& a) { return a.name == name; });
  return it == admissions_.end() ? nullptr : &*it;
}

bool Membership::is_removed(raft::NodeId id) const {
  return std::find(removed_.begin(), removed_.end(), id) != removed_.end();
}

bool Membership::address_taken(const std::string& address, const std::string& except_name) const {
  const MemberInfo* member = find_address(address);
  if (member != nullptr && member->name != except_name) return true;
  return std::any_of(admissions_.begin(), admissions_.end(), [&](const Admission& a) {
    return a.address == address && a.name != except_name;
  });
}

Status Membership::admit(const Admission& admission) {
  if (Status s = check_labels(admission.name, admission.address); !s) return s;
  if (find_name(admission.name) != nullptr) {
    return {Code::kConflict, "node_id '" + admission.name + "' is a member already"};
  }
  if (address_taken(admission.address, admission.name)) {
    return {Code::kConflict, "address " + admission.address + " belongs to another member"};
  }
  remove_admission(admission.name);
  if (members_.size() + admissions_.size() >= kMembersMax) {
    return {Code::kConflict, "the cluster has its maximum of 64 members and admissions"};
  }
  admissions_.push_back(admission);
  return Status::ok();
}

Status Membership::bind(const MemberInfo& member) {
  if (is_removed(member.id)) return {Code::kConflict, "this id was removed from the cluster"};
  if (find(member.id) != nullptr) return {Code::kConflict, "this id is a member already"};
  if (find_admission(member.name) == nullptr) return {Code::kNotFound, "not admitted"};
  remove_admission(member.name);
  members_.push_back(member);
  sort_by_name(&members_);
  return Status::ok();
}

Status Membership::move(raft::NodeId id, const std::string& address) {
  const MemberInfo* member = find(id);
  if (member == nullptr) return {Code::kNotFound, "not a member"};
  if (Status s = check_labels(member->name, address); !s) return s;
  if (address_taken(address, member->name)) {
    return {Code::kConflict, "address " + address + " belongs to another member"};
  }
  members_[static_cast<size_t>(member - members_.data())].address = address;
  return Status::ok();
}

void Membership::remove_admission(const std::string& name) {
  std::erase_if(admissions_, [&](const Admission& a) { return a.name == name; });
}

void Membership::remove(raft::NodeId id) {
  std::erase_if(members_, [&](const MemberInfo& m) { return m.id == id; });
  if (!is_removed(id)) removed_.push_back(id);
  if (removed_.size() > kRemovedMax) removed_.erase(removed_.begin());
}

}  // namespace kvstore::node
