#include "node/runtime/disk_monitor.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <pthread.h>
#include <sys/statvfs.h>

namespace kvstore::node::runtime {

Result<uint64_t> free_bytes_of(const std::string& path) {
  struct statvfs info {};
  if (statvfs(path.c_str(), &info) != 0) {
    return Status(Code::kIo, path + ": " + std::strerror(errno));
  }
  return uint64_t{info.f_bavail} * info.f_frsize;
}

void DiskMonitor::start(std::vector<std::string> paths,
                        std::function<void(uint64_t free_bytes)> report) {
  thread_ = std::thread([this, paths = std::move(paths), report = std::move(report)] {
    pthread_setname_np(pthread_self(), "kvs-disk");
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      uint64_t free = UINT64_MAX;
      for (const std::string& path : paths) {
        if (Result<uint64_t> here = free_bytes_of(path)) free = std::min(free, *here);
      }
      if (free != UINT64_MAX) report(free);
      lock.lock();
      wake_.wait_for(lock, std::chrono::milliseconds(kIntervalMs), [this] { return stopping_; });
    }
  });
}

void DiskMonitor::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace kvstore::node::runtime
