// The leveldb::Env below every database of this plugin.
//
// LevelDB 1.23 closes a write-ahead file without syncing it when it switches to the next one: a
// power cut can then lose that file's tail while later writes survive, a gap that it does not
// notice at recovery. It also goes on after one failed append.  This Env closes both holes, makes
// file names durable, and gives each database a background thread of its own (Env::Default() shares
// one thread between all databases of the process, so a compaction of the state would hold up the
// log, and never ends it).
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <leveldb/env.h>

namespace kvstore::storage_leveldb {

// Remembers the first failure of any write-ahead file; every later operation on such files returns
// it. [any-thread]
class WalLatch {
 public:
  // The latched failure, or OK.
  leveldb::Status status() const;
  // Latches a failed status; returns what the caller must return.
  leveldb::Status note(const leveldb::Status& status);

 private:
  mutable std::mutex mutex_;
  leveldb::Status failure_;
};

// Lifecycle: outlives the databases opened with it; the destructor joins the background thread.
class SafeEnv : public leveldb::EnvWrapper {
 public:
  SafeEnv();
  ~SafeEnv() override;

  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** result) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status RemoveFile(const std::string& name) override;
  void Schedule(void (*function)(void*), void* arg) override;

  // LevelDB does not notice that a write-ahead file has gone, nor that its list of tables
  // (MANIFEST) was cut, and would come up with less than it had: this says CORRUPT when the newest
  // write-ahead file of the database in `dir` has gone or the list is shorter than it was when it
  // was last synced.  Call before opening.
  static leveldb::Status check_files(const std::string& dir);

  // Syncs the write-ahead file in use through a descriptor of its own, so that no writer waits for
  // it. What was written before the call is durable on return, unless the file was switched
  // meanwhile: then it was synced by the switch.  [any-thread]
  leveldb::Status sync_current_wal();

 private:
  void run_background();

  WalLatch latch_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::string current_wal_;
  std::deque<std::pair<void (*)(void*), void*>> tasks_;
  bool stopping_ = false;
  std::thread background_;
};

}  // namespace kvstore::storage_leveldb
