// The clocks of a running node.
#pragma once

#include <cstdint>

#include "node/ports.hpp"

namespace kvstore::node::runtime {

// Nanoseconds of CLOCK_BOOTTIME, which goes on while the machine sleeps.  The host gives plugins
// the same clock.
uint64_t boot_time_ns();

class SystemClock : public Clock {
 public:
  uint64_t now_ms() override { return boot_time_ns() / 1'000'000; }
  uint64_t wall_ms() override;
};

}  // namespace kvstore::node::runtime
