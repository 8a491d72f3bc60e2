// Figures of this process, read from /proc/self.
#pragma once

#include <cstdint>

namespace kvstore::host {

struct ProcessFigures {
  double cpu_seconds = 0;         // user and system
  double start_time_seconds = 0;  // since the epoch
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t threads = 0;
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;
};

// What cannot be read stays 0.
ProcessFigures read_process_figures();

}  // namespace kvstore::host
