// Reads of whatever a node has: within an age, from a revision on, or both.
#pragma once

#include "sim/checker.hpp"
#include "sim/faults.hpp"

namespace kvstore::sim {

class StaleReads {
 public:
  StaleReads(SimCluster* cluster, Checker* checker, Coverage* coverage)
      : cluster_(cluster), checker_(checker), coverage_(coverage) {}

  // One read every few milliseconds of virtual time until finish().
  void start();
  void finish() { finishing_ = true; }
  bool idle() const { return open_ == 0; }

 private:
  struct Call {
    size_t node = 0;
    uint64_t since_us = 0;  // what was acknowledged before must be seen
    uint64_t min_revision = 0;
    bool waits = false;
  };
  void ask();
  void take(const Call& call, const node::ReadOutcome& outcome);

  SimCluster* cluster_;
  Checker* checker_;
  Coverage* coverage_;
  bool finishing_ = false;
  size_t open_ = 0;
};

}  // namespace kvstore::sim
