// Cluster membership as consensus sees it.
#pragma once

#include <string>
#include <vector>

#include "base/status.hpp"
#include "raft/types.hpp"

namespace kvstore::raft {

struct Member {
  NodeId id;
  bool voter = false;         // false: learner
  bool auto_promote = false;  // a learner that the leader makes a voter once it caught up (§4.2.1)
  bool operator==(const Member&) const = default;
};

// The members, sorted by id without duplicates, and an opaque context that the layer above
// replicates together with them (names, addresses, admissions, tombstones).  A value type.
struct Configuration {
  std::vector<Member> members;
  std::string context;

  const Member* find(NodeId id) const;
  bool is_voter(NodeId id) const;
  size_t voter_count() const;
  // Votes that make a majority of the voters; at least 1.
  size_t quorum() const { return voter_count() / 2 + 1; }
  // Adds or replaces a member, keeping the order.
  void set(const Member& member);
  void remove(NodeId id);
  // Sorted, without duplicates or node 0: what every configuration must be.
  bool is_valid() const;

  // At most one voter added, removed, promoted or demoted: the condition under which any two
  // majorities of the old and the new configuration overlap (§4.1).  Learners and context may
  // change freely.
  static bool is_single_change(const Configuration& from, const Configuration& to);

  std::string encode() const;
  // CORRUPT with the reason for bytes that encode() did not write.
  static Result<Configuration> decode(Bytes bytes);

  bool operator==(const Configuration&) const = default;
};

}  // namespace kvstore::raft
