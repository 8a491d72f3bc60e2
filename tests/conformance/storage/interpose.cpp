#include "interpose.hpp"

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace kvstore::conformance::interpose {
namespace {

namespace fs = std::filesystem;

std::atomic<uint64_t> syncs{0};
std::atomic<bool> watching{false};  // a Fault or a Recorder lives

// Everything below is guarded by this, which also serialises the watched calls.
std::recursive_mutex& mutex() {
  static std::recursive_mutex m;
  return m;
}
thread_local bool inside = false;  // this thread works for the suite itself

struct FaultPlan {
  std::string dir;
  Kind kind = Kind::kSync;
  uint64_t countdown = 0;
  int sys_errno = 0;
  bool sticky = false;
  uint64_t hits = 0;
};
FaultPlan* fault = nullptr;

struct Recording {
  std::string dir;
  std::map<ino_t, std::string> durable;
  std::function<void()> hook;
};
Recording* recording = nullptr;

bool below(const std::string& path, const std::string& dir) {
  return path.size() > dir.size() && path.compare(0, dir.size(), dir) == 0 &&
         path[dir.size()] == '/';
}

std::string path_of(int fd) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t n = ::readlink(link.c_str(), path, sizeof path);
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : std::string();
}

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_content(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary)
      .write(content.data(), static_cast<std::streamsize>(content.size()));
}

void run_hook(const std::string& path) {
  if (recording == nullptr || !recording->hook || !below(path, recording->dir)) return;
  inside = true;
  recording->hook();
  inside = false;
}

// The error to return instead of doing the call, or 0.
int injected(Kind kind, const std::string& path) {
  if (fault == nullptr || fault->kind != kind || !below(path, fault->dir)) return 0;
  if (fault->countdown > 1) {
    --fault->countdown;
    return 0;
  }
  if (fault->countdown == 0 && !fault->sticky) return 0;
  fault->countdown = 0;
  ++fault->hits;
  return fault->sys_errno;
}

void record_sync(int fd, const std::string& path) {
  if (recording == nullptr || !below(path, recording->dir)) return;
  struct stat s {};
  if (::fstat(fd, &s) != 0 || !S_ISREG(s.st_mode)) return;
  inside = true;
  recording->durable[s.st_ino] = content_of(path);
  inside = false;
}

void forget(int dirfd, const char* path) {
  struct stat s {};
  if (recording != nullptr && ::fstatat(dirfd, path, &s, AT_SYMLINK_NOFOLLOW) == 0) {
    recording->durable.erase(s.st_ino);
  }
}

bool active() {
  return watching.load(std::memory_order_acquire) && !inside;
}

long do_sync(long number, int fd) {
  syncs.fetch_add(1, std::memory_order_relaxed);
  if (!active()) return syscall(number, fd);
  std::lock_guard lock(mutex());
  const std::string path = path_of(fd);
  run_hook(path);
  if (int e = injected(Kind::kSync, path); e != 0) {
    errno = e;
    return -1;
  }
  const long result = syscall(number, fd);
  if (result == 0) record_sync(fd, path);
  return result;
}

template <typename Call>
auto do_write(int fd, Call&& call) -> decltype(call()) {
  if (!active()) return call();
  std::lock_guard lock(mutex());
  const std::string path = path_of(fd);
  run_hook(path);
  if (int e = injected(Kind::kWrite, path); e != 0) {
    errno = e;
    return -1;
  }
  return call();
}

template <typename Call>
auto do_name(int dirfd, const char* changed, const char* gone, Call&& call) -> decltype(call()) {
  if (!active()) return call();
  std::lock_guard lock(mutex());
  run_hook(dirfd == AT_FDCWD || changed[0] == '/' ? changed : path_of(dirfd) + "/" + changed);
  forget(dirfd, gone);
  return call();
}

template <typename Fn>
void copy_tree(const std::string& from, const std::string& to, Fn&& content) {
  inside = true;
  fs::create_directories(to);
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const fs::path target = fs::path(to) / fs::relative(entry.path(), from);
    if (entry.is_directory()) {
      fs::create_directories(target);
    } else if (entry.is_regular_file()) {
      write_content(target, content(entry.path()));
    }
  }
  inside = false;
}

}  // namespace

uint64_t sync_count() {
  return syncs.load();
}

Fault::Fault(const std::string& dir, Kind kind, uint64_t n, int sys_errno, bool sticky) {
  std::lock_guard lock(mutex());
  fault = new FaultPlan{dir, kind, n, sys_errno, sticky, 0};
  watching.store(true);
}

Fault::~Fault() {
  std::lock_guard lock(mutex());
  delete fault;
  fault = nullptr;
  watching.store(recording != nullptr);
}

uint64_t Fault::hits() const {
  std::lock_guard lock(mutex());
  return fault->hits;
}

Recorder::Recorder(const std::string& dir) {
  std::lock_guard lock(mutex());
  recording = new Recording{dir, {}, nullptr};
  watching.store(true);
}

Recorder::~Recorder() {
  std::lock_guard lock(mutex());
  delete recording;
  recording = nullptr;
  watching.store(fault != nullptr);
}

void Recorder::set_hook(std::function<void()> hook) {
  std::lock_guard lock(mutex());
  recording->hook = std::move(hook);
}

void Recorder::kill_image(const std::string& target) const {
  std::lock_guard lock(mutex());
  const bool nested = inside;
  copy_tree(recording->dir, target, [](const fs::path& path) { return content_of(path); });
  inside = nested;
}

void Recorder::power_image(const std::string& target) const {
  std::lock_guard lock(mutex());
  const bool nested = inside;
  copy_tree(recording->dir, target, [](const fs::path& path) {
    struct stat s {};
    if (::stat(path.c_str(), &s) != 0) return std::string();
    auto it = recording->durable.find(s.st_ino);
    return it == recording->durable.end() ? std::string() : it->second;
  });
  inside = nested;
}

}  // namespace kvstore::conformance::interpose

// ---- the calls themselves

namespace hooks = kvstore::conformance::interpose;

extern "C" {

__attribute__((visibility("default"))) int fsync(int fd) {
  return static_cast<int>(hooks::do_sync(SYS_fsync, fd));
}
__attribute__((visibility("default"))) int fdatasync(int fd) {
  return static_cast<int>(hooks::do_sync(SYS_fdatasync, fd));
}
__attribute__((visibility("default"))) ssize_t write(int fd, const void* data, size_t n) {
  return hooks::do_write(fd, [&] { return static_cast<ssize_t>(syscall(SYS_write, fd, data, n)); });
}
__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void* data, size_t n,
                                                      off_t at) {
  return hooks::do_write(
      fd, [&] { return static_cast<ssize_t>(syscall(SYS_pwrite64, fd, data, n, at)); });
}
__attribute__((visibility("default"))) ssize_t pwrite64(int fd, const void* data, size_t n,
                                                        off64_t at) {
  return hooks::do_write(
      fd, [&] { return static_cast<ssize_t>(syscall(SYS_pwrite64, fd, data, n, at)); });
}
__attribute__((visibility("default"))) int ftruncate(int fd, off_t size) noexcept {
  return hooks::do_write(fd, [&] { return static_cast<int>(syscall(SYS_ftruncate, fd, size)); });
}
__attribute__((visibility("default"))) int ftruncate64(int fd, off64_t size) noexcept {
  return hooks::do_write(fd, [&] { return static_cast<int>(syscall(SYS_ftruncate, fd, size)); });
}
__attribute__((visibility("default"))) int rename(const char* from, const char* to) noexcept {
  return hooks::do_name(AT_FDCWD, to, to, [&] {
    return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
  });
}
__attribute__((visibility("default"))) int unlink(const char* path) noexcept {
  return hooks::do_name(AT_FDCWD, path, path,
                        [&] { return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, 0)); });
}
__attribute__((visibility("default"))) int unlinkat(int dirfd, const char* path,
                                                    int flags) noexcept {
  return hooks::do_name(dirfd, path, path, [&] {
    return static_cast<int>(syscall(SYS_unlinkat, dirfd, path, flags));
  });
}
}
