// Asks members to compare their states while everything happens, as an operator does with
// `GET /api/v1/admin/hash`: the answer must never be that they differ.
#pragma once

#include <vector>

#include "sim/checker.hpp"
#include "sim/faults.hpp"

namespace kvstore::sim {

class StateComparisons {
 public:
  StateComparisons(SimCluster* cluster, Checker* checker, Coverage* coverage)
      : cluster_(cluster), checker_(checker), coverage_(coverage) {}

  // Asks some running node, now and then.
  void act();
  // Without faults every member answers.
  void require_agreement();

 private:
  void judge(const ControlCall& call);

  SimCluster* cluster_;
  Checker* checker_;
  Coverage* coverage_;
  std::vector<ControlCallPtr> calls_;
};

}  // namespace kvstore::sim
