// One LevelDB database with its environment, and LevelDB's statuses as sdk::Error.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <kvstore/abi/host.h>
#include <kvstore/sdk/host.hpp>

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include "env.hpp"
#include "options.hpp"

namespace kvstore::storage_leveldb {

inline leveldb::Slice to_leveldb(std::string_view s) {
  return {s.data(), s.size()};
}
inline std::string_view to_view(const leveldb::Slice& s) {
  return {s.data(), s.size()};
}

// Throws sdk::Error for anything but OK: CORRUPT, NO_SPACE or IO, with LevelDB's message.
void check(const leveldb::Status& status);

// A point in time, released with the object.
class Snapshot {
 public:
  explicit Snapshot(leveldb::DB& db) : db_(&db), snapshot_(db.GetSnapshot()) {}
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() { db_->ReleaseSnapshot(snapshot_); }
  const leveldb::Snapshot* get() const { return snapshot_; }

 private:
  leveldb::DB* db_;
  const leveldb::Snapshot* snapshot_;
};

// Concurrency: that of leveldb::DB, every function from any thread.  All reads verify checksums.
class Database {
 public:
  // Opens the database in `dir`; create: makes it when it does not exist.
  Database(const kvs_host* host, const std::string& dir, const Options& options, bool create);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void write(leveldb::WriteBatch* batch, bool sync);
  // Makes every write that returned before durable.
  void sync();
  // False when there is no such key.  snapshot may be null: the newest value.
  bool get(std::string_view key, const Snapshot* snapshot, std::string* value);
  std::unique_ptr<leveldb::Iterator> iterate(const Snapshot* snapshot);
  leveldb::DB& raw() { return *db_; }
  // A LevelDB property as a number, 0 when unknown.
  uint64_t property(const char* name);

 private:
  // LevelDB's own messages, at debug level.
  class HostLogger : public leveldb::Logger {
   public:
    explicit HostLogger(const kvs_host* host) : host_(host) {}
    void Logv(const char* format, std::va_list args) override;

   private:
    sdk::Host host_;
  };

  // In this order: the database goes first, the environment last.
  SafeEnv env_;
  HostLogger logger_;
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace kvstore::storage_leveldb
