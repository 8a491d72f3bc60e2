// Watches the free space under the data directory, and what its parts take.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/status.hpp"

namespace kvstore::node::runtime {

// Free bytes for unprivileged users on the file system of `path` (statvfs(3), f_bavail).
Result<uint64_t> free_bytes_of(const std::string& path);

// The sizes of the files below `path`; those that come and go meanwhile may count or not.
uint64_t used_bytes_of(const std::string& path);

struct DiskUse {
  uint64_t free_bytes = 0;           // the smallest figure of all paths
  std::vector<uint64_t> used_bytes;  // of each path
};

// Reports at start and then at every interval, on a thread of its own: statvfs blocks while a disk
// hangs.  A path that cannot be asked for its free space is left out, and nothing is reported when
// no path can.  What is used is looked at every kRoundsPerWalk reports.
class DiskMonitor {
 public:
  static constexpr uint64_t kIntervalMs = 500;
  static constexpr uint64_t kRoundsPerWalk = 20;

  ~DiskMonitor() { stop(); }
  void start(std::vector<std::string> paths, std::function<void(const DiskUse&)> report);
  void stop();

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kvstore::node::runtime
