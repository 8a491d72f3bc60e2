// One simulated run: a cluster, clients, faults, then peace, and the judgement.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/faults.hpp"
#include "support/sim/sim_node.hpp"

namespace kvstore::sim {

struct RunOptions {
  uint64_t seed = 1;
  StorageBug bug = StorageBug::kNone;
  // Receives every line of the trace; none is made without it.
  std::function<void(const std::string&)> trace;
};

struct RunResult {
  std::string invariant;  // that was violated; empty after a good run
  std::string what;
  std::string plan;
  Coverage coverage;
  uint64_t operations = 0;
  uint64_t acknowledged = 0;
  uint64_t unknown = 0;
  uint64_t virtual_us = 0;

  bool good() const { return invariant.empty(); }
};

RunResult run(const RunOptions& options);

}  // namespace kvstore::sim
