#include "database.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <kvstore/sdk/guard.hpp>

namespace kvstore::storage_leveldb {
namespace {

bool mentions_errno(const std::string& message, int sys_errno) {
  return message.find(std::strerror(sys_errno)) != std::string::npos;
}

}  // namespace

void check(const leveldb::Status& status) {
  if (status.ok()) return;
  const std::string message = "leveldb: " + status.ToString();
  if (status.IsCorruption()) throw sdk::Error(KVS_E_CORRUPT, message);
  // LevelDB keeps strerror's text and not the number.
  for (int full : {ENOSPC, EDQUOT}) {
    if (mentions_errno(message, full)) throw sdk::Error(KVS_E_NO_SPACE, message, full);
  }
  for (int scarce : {EMFILE, ENFILE, ENOMEM}) {
    if (mentions_errno(message, scarce)) throw sdk::Error(KVS_E_NO_MEMORY, message, scarce);
  }
  // A file that LevelDB's own records name is missing or shorter than they say.
  if (status.IsNotFound() || status.IsInvalidArgument()) throw sdk::Error(KVS_E_CORRUPT, message);
  throw sdk::Error(KVS_E_IO, message);
}

void Database::HostLogger::Logv(const char* format, std::va_list args) {
  if (!host_.enabled(KVS_LEVEL_DEBUG)) return;
  char line[512];
  int n = std::vsnprintf(line, sizeof line, format, args);
  if (n < 0) return;
  size_t length = std::min(static_cast<size_t>(n), sizeof line - 1);
  while (length > 0 && line[length - 1] == '\n') --length;
  host_.log(KVS_LEVEL_DEBUG, {line, length});
}

Database::Database(const kvs_host* host, const std::string& dir, const Options& options,
                   bool create)
    : logger_(host) {
  leveldb::Options o;
  o.env = &env_;
  o.info_log = &logger_;
  o.create_if_missing = create;
  o.paranoid_checks = true;
  o.write_buffer_size = options.write_buffer_bytes;
  o.max_file_size = options.max_file_bytes;
  o.block_size = options.block_bytes;
  o.max_open_files = static_cast<int>(options.open_files_max);
  o.compression = options.compression ? leveldb::kSnappyCompression : leveldb::kNoCompression;
  cache_.reset(leveldb::NewLRUCache(options.block_cache_bytes));
  o.block_cache = cache_.get();
  if (options.bloom_bits > 0) {
    filter_.reset(leveldb::NewBloomFilterPolicy(static_cast<int>(options.bloom_bits)));
    o.filter_policy = filter_.get();
  }
  check(SafeEnv::check_files(dir));
  leveldb::DB* db = nullptr;
  leveldb::Status status = leveldb::DB::Open(o, dir, &db);
  db_.reset(db);
  check(status);
}

void Database::write(leveldb::WriteBatch* batch, bool sync) {
  leveldb::WriteOptions options;
  options.sync = sync;
  check(db_->Write(options, batch));
}

void Database::sync() {
  // The bulk is synced beside the writers; the empty write below then holds them up only for the
  // rest.
  check(env_.sync_current_wal());
  leveldb::WriteBatch nothing;
  write(&nothing, true);
}

bool Database::get(std::string_view key, const Snapshot* snapshot, std::string* value) {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  options.snapshot = snapshot != nullptr ? snapshot->get() : nullptr;
  leveldb::Status status = db_->Get(options, to_leveldb(key), value);
  // An absent key has no text; NotFound with one is a table file that has gone.
  if (status.IsNotFound() && status.ToString() == "NotFound: ") return false;
  check(status);
  return true;
}

std::unique_ptr<leveldb::Iterator> Database::iterate(const Snapshot* snapshot) {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  // A walk over everything must neither push out what single reads use nor take the cache's memory.
  options.fill_cache = false;
  options.snapshot = snapshot != nullptr ? snapshot->get() : nullptr;
  return std::unique_ptr<leveldb::Iterator>(db_->NewIterator(options));
}

uint64_t Database::property(const char* name) {
  std::string text;
  if (!db_->GetProperty(name, &text)) return 0;
  return std::strtoull(text.c_str(), nullptr, 10);
}

}  // namespace kvstore::storage_leveldb
