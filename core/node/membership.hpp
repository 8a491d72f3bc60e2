// Who belongs to the cluster, by name and address: what a raft::Configuration carries as its
// context.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.hpp"
#include "raft/configuration.hpp"

namespace kvstore::node {

// A member that consensus knows by id.
struct MemberInfo {
  raft::NodeId id;
  std::string name;     // unique in the cluster
  std::string address;  // of its raft port, as others dial it; unique in the cluster
  bool operator==(const MemberInfo&) const = default;
};

// A name that may join: the first node that says hello under it with an unused id is bound to it.
struct Admission {
  std::string name;
  std::string address;
  bool learner = false;  // stays a learner
  bool operator==(const Admission&) const = default;
};

// Members, admissions and the ids that were removed and may never come back.  A value type; every
// change is made on a copy, which is then proposed as a whole.
class Membership {
 public:
  static constexpr size_t kNameBytesMax = 128;
  static constexpr size_t kAddressBytesMax = 255;
  static constexpr size_t kMembersMax = 64;  // members and admissions together
  // Removed ids that are remembered; beyond them the oldest is forgotten.  Its node, should it come
  // back after that many removals, is heard but has no vote, as it is in no configuration.
  static constexpr size_t kRemovedMax = 1'024;

  // The first configuration of a cluster: one voter.
  static raft::Configuration bootstrap(const MemberInfo& self);

  // Reads the context of a configuration; CORRUPT when it does not agree with the members.
  static Result<Membership> decode(const raft::Configuration& configuration);
  std::string encode_context() const;

  const std::vector<MemberInfo>& members() const { return members_; }
  const std::vector<Admission>& admissions() const { return admissions_; }
  const MemberInfo* find(raft::NodeId id) const;
  const MemberInfo* find_name(const std::string& name) const;
  const MemberInfo* find_address(const std::string& address) const;
  const Admission* find_admission(const std::string& name) const;
  bool is_removed(raft::NodeId id) const;

  // INVALID when the name or address is malformed, CONFLICT when another member or admission has
  // the address.
  Status admit(const Admission& admission);
  // Turns the admission of this name into a member; CONFLICT when the id was removed or is taken.
  Status bind(const MemberInfo& member);
  // NOT_FOUND without such a member; CONFLICT when another one has the address.
  Status move(raft::NodeId id, const std::string& address);
  void remove_admission(const std::string& name);
  // Takes a member out and its id out of use.
  void remove(raft::NodeId id);

  bool operator==(const Membership&) const = default;

 private:
  bool address_taken(const std::string& address, const std::string& except_name) const;

  std::vector<MemberInfo> members_;  // sorted by name
  std::vector<Admission> admissions_;
  std::vector<raft::NodeId> removed_;  // oldest first
};

// A name or address that may be shown and stored: 1..max bytes of printable ASCII without space,
// quote or '/'.
bool is_valid_label(const std::string& text, size_t bytes_max);

}  // namespace kvstore::node
