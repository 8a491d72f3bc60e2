#include "node/runtime/disk_monitor.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include <pthread.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace kvstore::node::runtime {

Result<uint64_t> free_bytes_of(const std::string& path) {
  struct statvfs info {};
  if (statvfs(path.c_str(), &info) != 0) {
    return Status(Code::kIo, path + ": " + std::strerror(errno));
  }
  return uint64_t{info.f_bavail} * info.f_frsize;
}

uint64_t used_bytes_of(const std::string& path) {
  namespace fs = std::filesystem;
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    struct stat info {};
    if (::lstat(it->path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      bytes += static_cast<uint64_t>(info.st_size);
    }
  }
  return bytes;
}

void DiskMonitor::start(std::vector<std::string> paths,
                        std::function<void(const DiskUse&)> report) {
  thread_ = std::thread([this, paths = std::move(paths), report = std::move(report)] {
    pthread_setname_np(pthread_self(), "kvs-disk");
    std::unique_lock lock(mutex_);
    DiskUse use;
    use.used_bytes.resize(paths.size());
    for (uint64_t round = 0; !stopping_; ++round) {
      lock.unlock();
      use.free_bytes = UINT64_MAX;
      for (size_t i = 0; i < paths.size(); ++i) {
        if (Result<uint64_t> here = free_bytes_of(paths[i])) {
          use.free_bytes = std::min(use.free_bytes, *here);
        }
        if (round % kRoundsPerWalk == 0) use.used_bytes[i] = used_bytes_of(paths[i]);
      }
      if (use.free_bytes != UINT64_MAX) report(use);
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
