// Orders to the io_faults library in one process: failing, slow, stalled and lying disks, wrong
// clocks.
//
//   test::IoFaults faults(dir / "node1.faults");
//   node.set_environment("LD_PRELOAD", faults.library());
//   node.set_environment("KVS_IO_FAULTS", faults.file());
//   ...
//   faults.aim_at(node.data_dir());
//   faults.orders().stalled = 1;
//
// One file per process; it survives restarts of the process.  Set from one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "orders.h"

namespace kvstore::test {

class IoFaults {
 public:
  // Creates the file, all zero.  Throws std::runtime_error when that is impossible.
  explicit IoFaults(std::filesystem::path file);
  ~IoFaults();
  IoFaults(const IoFaults&) = delete;
  IoFaults& operator=(const IoFaults&) = delete;

  static std::string library();
  std::string file() const { return file_.string(); }

  // The files that disk faults concern from now on.
  void aim_at(const std::filesystem::path& part);
  void fail_syncs(int error, int64_t count);
  void fail_writes(int error, int64_t count);
  void stall(bool on) { set(orders_->stalled, on ? 1 : 0); }
  void pretend_syncs(bool on) { set(orders_->pretend_sync, on ? 1 : 0); }
  void shorten_writes(bool on) { set(orders_->short_writes, on ? 1 : 0); }
  // The process dies (SIGKILL) in the place of its nth sync from now on; 0: of none.
  void kill_at_sync(int64_t nth) { set(orders_->syncs_until_kill, nth); }
  void delay_syncs(std::chrono::microseconds delay);
  // The wall clock jumps to this distance from the true time.
  void set_wall_offset(std::chrono::nanoseconds offset);
  // From now on the monotonic clock runs this fast: 2000 is double speed.
  void set_speed(int64_t permille);
  // Ends every fault of disk and clock; what the counters say stays.  The monotonic clock keeps
  // what it gained: time never goes back.
  void clear();

  const kvs_io_faults& seen() const { return *orders_; }
  // Calls that stand still at this moment.
  int waiting() const { return __atomic_load_n(&orders_->waiting, __ATOMIC_ACQUIRE); }

 private:
  template <typename T, typename V>
  static void set(T& field, V value) {
    __atomic_store_n(&field, static_cast<T>(value), __ATOMIC_RELEASE);
  }

  std::filesystem::path file_;
  kvs_io_faults* orders_ = nullptr;
};

}  // namespace kvstore::test
