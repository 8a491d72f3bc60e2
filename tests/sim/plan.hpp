// What a seed decides before anything runs.
#pragma once

#include <cstdint>
#include <string>

#include "support/sim/sim_cluster.hpp"

namespace kvstore::sim {

struct Plan {
  uint64_t voters = 3;   // at first
  uint64_t steps = 100;  // between which faults come
  uint64_t step_max_us = 150 * kMs;
  uint64_t clients = 4;
  uint64_t client_pause_us = 100 * kMs;
  uint64_t lease_clients = 0;
  // Which families of faults this run has; each run has some.
  bool crashes = false;
  bool power_cuts = false;
  bool partitions = false;
  bool pauses = false;
  bool disks = false;
  bool clocks = false;
  bool membership = false;
  bool leases = false;  // and clocks within what a lease allows
  bool losses = false;  // of whole disks; not together with membership, see Nemesis
  NetworkFaults network;
  DiskFaults disk;

  // Draws everything from the cluster's world and sets its nodes up; they do not run yet.
  static Plan draw(SimCluster* cluster);
  std::string describe() const;
};

}  // namespace kvstore::sim
