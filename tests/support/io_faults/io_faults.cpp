#include "support/io_faults/io_faults.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace kvstore::test {

IoFaults::IoFaults(std::filesystem::path file) : file_(std::move(file)) {
  const int fd = ::open(file_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  void* mapped = MAP_FAILED;
  if (fd >= 0 && ::ftruncate(fd, sizeof(kvs_io_faults)) == 0) {
    mapped = ::mmap(nullptr, sizeof(kvs_io_faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (mapped == MAP_FAILED) throw std::runtime_error(file_.string() + ": " + std::strerror(error));
  orders_ = static_cast<kvs_io_faults*>(mapped);
}

IoFaults::~IoFaults() {
  ::munmap(orders_, sizeof(kvs_io_faults));
}

std::string IoFaults::library() {
  return KVS_IO_FAULTS_LIBRARY;
}

void IoFaults::aim_at(const std::filesystem::path& part) {
  const std::string text = part.string();
  if (text.size() >= KVS_IO_FAULTS_PATH_MAX) throw std::runtime_error("path too long: " + text);
  set(orders_->path_part[0], '\0');
  if (text.empty()) return;
  std::memcpy(orders_->path_part + 1, text.c_str() + 1, text.size());
  set(orders_->path_part[0], text[0]);
}

void IoFaults::fail_syncs(int error, int64_t count) {
  set(orders_->sync_failures_left, count);
  set(orders_->sync_errno, error);
}

void IoFaults::fail_writes(int error, int64_t count) {
  set(orders_->write_failures_left, count);
  set(orders_->write_errno, error);
}

void IoFaults::delay_syncs(std::chrono::microseconds delay) {
  set(orders_->sync_delay_us, delay.count());
}

void IoFaults::set_wall_offset(std::chrono::nanoseconds offset) {
  set(orders_->wall_offset_ns, offset.count());
}

void IoFaults::set_speed(int64_t permille) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t real = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  const int64_t old = orders_->monotonic_permille;
  const int64_t shown =
      old == 0 ? real : orders_->base_shown_ns + (real - orders_->base_real_ns) / 1000 * old;
  const uint32_t changes = orders_->clock_changes;
  set(orders_->clock_changes, changes + 1);
  set(orders_->base_shown_ns, shown);
  set(orders_->base_real_ns, real);
  set(orders_->monotonic_permille, permille);
  set(orders_->clock_changes, changes + 2);
}

void IoFaults::clear() {
  fail_syncs(0, 0);
  fail_writes(0, 0);
  delay_syncs(std::chrono::microseconds(0));
  kill_at_sync(0);
  pretend_syncs(false);
  shorten_writes(false);
  set_wall_offset(std::chrono::nanoseconds(0));
  if (orders_->monotonic_permille != 0) set_speed(1000);
  stall(false);
}

}  // namespace kvstore::test
