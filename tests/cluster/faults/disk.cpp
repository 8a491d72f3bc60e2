#include "faults/disk.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace kvstore::test {
namespace {

namespace fs = std::filesystem;

// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, from the kernel's ext4 (no public header has
// them): the file system goes down without writing out its journal.
constexpr unsigned long kShutdown = _IOR('X', 125, uint32_t);
constexpr uint32_t kWithoutLogFlush = 2;

std::string quote(const fs::path& path) {
  return "'" + path.string() + "'";
}

void run(const std::string& command) {
  const int status = std::system((command + " 2>/dev/null").c_str());
  if (status != 0) throw std::runtime_error("failed: " + command);
}

// A file system of at most a few hundred MB per node: in memory when there is a lot of it.
fs::path image_dir() {
  struct statvfs room {};
  const bool in_memory =
      ::statvfs("/dev/shm", &room) == 0 && room.f_bavail * room.f_frsize > (uint64_t{2} << 30);
  return in_memory ? fs::path("/dev/shm") : fs::temp_directory_path();
}

// Mounts of this process are its own.
bool enter_mount_namespace() {
  static const bool done = ::unshare(CLONE_NEWNS) == 0 &&
                           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return done;
}

int open_dir(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("open " + path.string() + ": " + std::strerror(errno));
  return fd;
}

void control(const fs::path& path, unsigned long request, void* argument, const char* what) {
  const int fd = open_dir(path);
  const int result = ::ioctl(fd, request, argument);
  const int error = errno;
  ::close(fd);
  if (result != 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(error));
}

}  // namespace

std::optional<std::string> LoopDisk::why_impossible() {
  if (::geteuid() != 0) return "mounting a loop image needs root";
  if (!enter_mount_namespace()) return std::string("no mount namespace: ") + std::strerror(errno);
  try {
    std::string name = (fs::temp_directory_path() / "kvs-probe-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return "no temporary directory";
    struct Remove {
      fs::path path;
      ~Remove() { fs::remove_all(path); }
    } const remove{name};
    LoopDisk disk(name, "disk", uint64_t{8} << 20);
    disk.cut_power();
    disk.restore_power();
  } catch (const std::exception& e) {
    return std::string("no ext4 on a loop device: ") + e.what();
  }
  return std::nullopt;
}

LoopDisk::LoopDisk(const fs::path& dir, const std::string& name, uint64_t bytes)
    : mount_(dir / name) {
  if (!enter_mount_namespace()) throw std::runtime_error("no mount namespace");
  std::string image = (image_dir() / "kvs-disk-XXXXXX").string();
  const int fd = ::mkstemp(image.data());
  if (fd < 0) throw std::runtime_error("cannot make an image");
  image_ = image;
  const bool sized = ::ftruncate(fd, static_cast<off_t>(bytes)) == 0;
  ::close(fd);
  try {
    if (!sized) throw std::runtime_error("cannot size an image");
    run("mkfs.ext4 -q -F -E lazy_itable_init=0,nodiscard " + quote(image_));
    fs::create_directories(mount_);
    mount();
  } catch (...) {
    fs::remove(image_);
    throw;
  }
}

LoopDisk::~LoopDisk() {
  try {
    thaw();
    unmount();
  } catch (const std::exception&) {
    (void)::umount2(mount_.c_str(), MNT_DETACH);
  }
  std::error_code ignored;
  fs::remove(image_, ignored);
}

// The kernel's own writing back comes late, so that only what was asked for is on the disk.
void LoopDisk::mount() {
  run("mount -o loop,commit=300,noatime " + quote(image_) + " " + quote(mount_));
  mounted_ = true;
}

void LoopDisk::unmount() {
  if (!mounted_) return;
  // The last process may still be on its way out.
  for (int attempt = 0;; ++attempt) {
    if (::umount2(mount_.c_str(), 0) == 0) break;
    if (errno != EBUSY || attempt == 100) {
      throw std::runtime_error("unmount " + mount_.string() + ": " + std::strerror(errno));
    }
    ::usleep(50'000);
  }
  mounted_ = false;
}

void LoopDisk::cut_power() {
  uint32_t flags = kWithoutLogFlush;
  control(mount_, kShutdown, &flags, "shut the file system down");
}

void LoopDisk::restore_power() {
  unmount();
  mount();
}

void LoopDisk::fill(uint64_t bytes) {
  const int fd = ::open((mount_ / "filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error("cannot make the filler");
  off_t at = 0;
  // Large pieces first, small ones into what is left.
  for (uint64_t piece = uint64_t{64} << 20; piece >= 1024; piece /= 2) {
    while (free_bytes() >= bytes + piece &&
           ::fallocate(fd, 0, at, static_cast<off_t>(piece)) == 0) {
      at += static_cast<off_t>(piece);
    }
  }
  ::close(fd);
}

void LoopDisk::free_space() {
  fs::remove(mount_ / "filler");
}

uint64_t LoopDisk::free_bytes() const {
  struct statvfs room {};
  if (::statvfs(mount_.c_str(), &room) != 0) return 0;
  return room.f_bavail * room.f_frsize;
}

void LoopDisk::freeze() {
  control(mount_, FIFREEZE, nullptr, "freeze");
  frozen_ = true;
}

void LoopDisk::thaw() {
  if (!frozen_) return;
  control(mount_, FITHAW, nullptr, "thaw");
  frozen_ = false;
}

}  // namespace kvstore::test
