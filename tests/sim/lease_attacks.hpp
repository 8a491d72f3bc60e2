// What goes wrong around a leader's lease happens rarely by chance: its answers wait while it is
// paused, or it is cut off from a successor that it named itself.
#pragma once

#include "sim/checker.hpp"
#include "sim/faults.hpp"

namespace kvstore::sim {

class LeaseAttacks {
 public:
  LeaseAttacks(SimCluster* cluster, Coverage* coverage) : cluster_(cluster), coverage_(coverage) {}

  // Now and then one of them, from beginning to end, while clients work.
  void act();

 private:
  void pause_with_answers_on_the_way(size_t leader);
  void hand_over_and_cut(size_t leader);
  size_t other_than(size_t leader);

  SimCluster* cluster_;
  Coverage* coverage_;
};

}  // namespace kvstore::sim
