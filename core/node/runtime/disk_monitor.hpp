// Watches the free space under the data directory.
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

// Reports the smallest figure of all paths at start and then at every interval, on a thread of its
// own: statvfs blocks while a disk hangs.  A path that cannot be asked is left out.
class DiskMonitor {
 public:
  static constexpr uint64_t kIntervalMs = 500;

  ~DiskMonitor() { stop(); }
  void start(std::vector<std::string> paths, std::function<void(uint64_t free_bytes)> report);
  void stop();

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kvstore::node::runtime
