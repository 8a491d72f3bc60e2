// What a load test measured.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "config.hpp"
#include "histogram.hpp"

namespace kvstore::bench {

// Of answered requests only: an error has no latency.
struct OperationResult {
  Histogram latency;    // nanoseconds from the intended start to the complete answer
  uint64_t misses = 0;  // of these: gets of a key that is not there
  uint64_t bytes = 0;   // of the answers' bodies
};

struct Results {
  std::array<OperationResult, kOperationCount> operations;
  // By kind: "connect", "connection_lost", "timeout", "malformed", "http_<status>", and "not_sent":
  // an open loop's requests that found no free connection in time.
  std::map<std::string, uint64_t> errors;
  double seconds = 0;  // measured time

  Histogram total() const;
  uint64_t answered() const;
  uint64_t error_count() const;
  // Of all measured requests, 0..1.
  double error_share() const;
};

}  // namespace kvstore::bench
