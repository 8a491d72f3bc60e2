// A file system of one's own for a node's data: ext4 on a loop device.  It can lose its power, be
// full, stand still and be copied.
//
// The image is a file in memory where there is room, which only makes syncs cheap: what is synced
// and what is not is the business of ext4 above it.  Mounts live in a mount namespace of this
// process and the device frees itself, so nothing is left when the process ends, however it ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace kvstore::test {

class LoopDisk {
 public:
  static std::optional<std::string> why_impossible();

  // Mounted at dir/name; removed at the end.  Throws std::runtime_error when that is impossible.
  // Made by the thread that starts the processes which use it.
  LoopDisk(const std::filesystem::path& dir, const std::string& name, uint64_t bytes);
  ~LoopDisk();
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  const std::filesystem::path& path() const { return mount_; }

  // The power goes: from this call on nothing reaches the disk, not even the file system's journal.
  // Whatever was not synced is lost.  Stop the processes on it before (SIGSTOP), kill them after.
  void cut_power();
  // Mounts it again after cut_power(), as a machine does when it boots; nobody may use the old one.
  void restore_power();

  // Leaves `bytes` free; the space is taken by a file that free_space() removes.
  void fill(uint64_t bytes = 0);
  void free_space();
  uint64_t free_bytes() const;

  // Writes and syncs stand still until thaw(); reads go on.
  void freeze();
  void thaw();

 private:
  void mount();
  void unmount();

  std::filesystem::path image_, mount_;
  bool mounted_ = false, frozen_ = false;
};

}  // namespace kvstore::test
