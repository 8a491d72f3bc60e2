// The system calls through which plugins reach files, seen by the suite.
//
// This program defines write, pwrite, fsync, rename, ... itself and exports them; a plugin and the
// libraries behind it, loaded later, bind to these.  That gives what an LD_PRELOAD library would:
// counting of syncs, injected failures, and pictures of the directory as a crash at any call would
// leave it.  It does not see writes through memory maps or from inside libc (stdio).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace kvstore::conformance::interpose {

// fsync and fdatasync calls so far.
uint64_t sync_count();

enum class Kind { kSync, kWrite };

// While it lives: of the calls of `kind` on files below `dir`, the n-th from now (1: the next) and,
// if sticky, all later ones fail with sys_errno.
class Fault {
 public:
  Fault(const std::string& dir, Kind kind, uint64_t n, int sys_errno, bool sticky);
  Fault(const Fault&) = delete;
  Fault& operator=(const Fault&) = delete;
  ~Fault();
  uint64_t hits() const;
};

// While it lives, all calls on files below `dir` are serialised and what each fsync made durable is
// kept. At most one at a time; made before the plugin opens files in `dir`.
class Recorder {
 public:
  explicit Recorder(const std::string& dir);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder();

  // Called before each call that changes a file below `dir`, with all other such calls held back.
  // The hook may copy images; what it does itself is not recorded.
  void set_hook(std::function<void()> hook);

  // The directory as kill -9 would leave it now.
  void kill_image(const std::string& target) const;
  // The directory as a power cut would leave it: every file has the content of its last fsync, and
  // names are durable at once (the kindest file system).
  void power_image(const std::string& target) const;
};

}  // namespace kvstore::conformance::interpose
