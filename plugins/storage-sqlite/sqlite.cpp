#include "sqlite.hpp"

#include <cerrno>
#include <cstring>

#define XXH_INLINE_ALL
#include <kvstore/sdk/file.hpp>

#include <sqlite3.h>
#include <xxhash.h>

namespace kvstore::storage_sqlite {
namespace {

constexpr int kBusyTimeoutMs = 10000;

kvs_status status_of(int code, int sys_errno) {
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return KVS_E_CORRUPT;
    case SQLITE_FULL:
      return KVS_E_NO_SPACE;
    case SQLITE_NOMEM:
      return KVS_E_NO_MEMORY;
    case SQLITE_TOOBIG:
      return KVS_E_INVALID;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return KVS_E_BUSY;
    case SQLITE_IOERR:
      // A read beyond the end, where the database says there is a page, is damage.
      if (code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_CORRUPTFS) return KVS_E_CORRUPT;
      return sdk::status_of_errno(sys_errno);
    case SQLITE_CANTOPEN:
      return sdk::status_of_errno(sys_errno);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return KVS_E_IO;
    default:
      return KVS_E_INTERNAL;
  }
}

// The file is there and looks like ours, but the schema is not.
bool lacks_schema(int code, const char* message) {
  return (code & 0xFF) == SQLITE_ERROR && (std::strstr(message, "no such table") != nullptr ||
                                           std::strstr(message, "no such column") != nullptr);
}

}  // namespace

uint64_t row_sum(uint64_t seed, std::string_view a, std::string_view b) {
  return XXH3_64bits_withSeed(b.data(), b.size(), XXH3_64bits_withSeed(a.data(), a.size(), seed));
}

Statement::Statement(Connection& connection, const std::string& sql) : connection_(&connection) {
  int code = sqlite3_prepare_v3(connection.raw(), sql.c_str(), static_cast<int>(sql.size() + 1),
                                SQLITE_PREPARE_PERSISTENT, &stmt_, nullptr);
  if (code != SQLITE_OK) connection.fail(code, "prepare");
}

Statement::~Statement() {
  sqlite3_finalize(stmt_);
}

void Statement::bind(int parameter, uint64_t v) {
  // Stored as the same 64 bits, signed.
  int code = sqlite3_bind_int64(stmt_, parameter, static_cast<sqlite3_int64>(v));
  if (code != SQLITE_OK) connection_->fail(code, "bind");
}

void Statement::bind(int parameter, std::string_view bytes) {
  // A null pointer would bind NULL instead of an empty blob.
  const char* data = bytes.data() != nullptr ? bytes.data() : "";
  int code = sqlite3_bind_blob64(stmt_, parameter, data, bytes.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) connection_->fail(code, "bind");
}

bool Statement::step() {
  int code = sqlite3_step(stmt_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  connection_->fail(code, "step");
}

void Statement::run() {
  Resetter resetter(*this);
  step();
}

void Statement::reset() noexcept {
  sqlite3_reset(stmt_);  // repeats the code of the last step, which was reported then
}

uint64_t Statement::number(int column) const {
  return static_cast<uint64_t>(sqlite3_column_int64(stmt_, column));
}

std::string_view Statement::bytes(int column) const {
  // The order matters: column_bytes after column_blob.
  const void* data = sqlite3_column_blob(stmt_, column);
  int length = sqlite3_column_bytes(stmt_, column);
  if (data == nullptr && length > 0) connection_->fail(SQLITE_NOMEM, "read a column");
  return {static_cast<const char*>(data), static_cast<size_t>(length)};
}

Connection::Connection(const std::string& path) {
  int code = sqlite3_open_v2(
      path.c_str(), &db_,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  if (code != SQLITE_OK) {
    try {
      fail(code, ("open " + path).c_str());
    } catch (...) {
      sqlite3_close(db_);
      throw;
    }
  }
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
}

Connection::~Connection() {
  sqlite3_finalize(begin_);
  sqlite3_finalize(commit_);
  sqlite3_close(db_);
}

void Connection::run(sqlite3_stmt** prepared, const char* sql) {
  int code = SQLITE_OK;
  if (*prepared == nullptr) {
    code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, prepared, nullptr);
    if (code != SQLITE_OK) fail(code, sql);
  }
  sqlite3_step(*prepared);
  code = sqlite3_reset(*prepared);  // the step's own code
  if (code != SQLITE_OK) fail(code, sql);
}

void Connection::begin() {
  run(&begin_, "BEGIN IMMEDIATE");
}

void Connection::commit() {
  run(&commit_, "COMMIT");
}

void Connection::rollback() noexcept {
  sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

void Connection::fail(int code, const char* what) {
  const int sys_errno = db_ != nullptr ? sqlite3_system_errno(db_) : 0;
  const char* message = db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
  std::string text = std::string("sqlite: cannot ") + what + ": " + message;
  if ((code & 0xFF) == SQLITE_IOERR || (code & 0xFF) == SQLITE_CANTOPEN) {
    text += std::string(" (") + std::strerror(sys_errno) + ")";
  }
  const bool damaged = lacks_schema(code, message);
  throw sdk::Error(damaged ? KVS_E_CORRUPT : status_of(code, sys_errno), text, sys_errno);
}

void Connection::exec(const std::string& sql) {
  int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code, sql.c_str());
}

void Connection::set_full_sync(bool full) {
  if (full_sync_ == (full ? 1 : 0)) return;
  exec(full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  full_sync_ = full ? 1 : 0;
}

void Connection::checkpoint_passive() {
  int code = sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code != SQLITE_OK && code != SQLITE_BUSY) fail(code, "checkpoint");
}

bool Connection::checkpoint_truncate() {
  sqlite3_busy_timeout(db_, 0);
  int code = sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  if (code != SQLITE_OK && code != SQLITE_BUSY) fail(code, "checkpoint");
  return code == SQLITE_OK;
}

void prepare_writer(Connection& connection, const std::string& dir, const Options& options,
                    const char* schema, bool create) {
  // The switch to write-ahead mode is a transaction of its own: synced, or a power cut could leave
  // a database that ignores its write-ahead file.
  connection.set_full_sync(true);
  connection.exec("PRAGMA page_size=" + std::to_string(options.page_bytes));
  connection.exec("PRAGMA journal_mode=WAL");
  // Debian's SQLite overwrites deleted content with zeros by default.
  connection.exec("PRAGMA secure_delete=OFF");
  connection.exec("PRAGMA temp_store=MEMORY");
  connection.exec("PRAGMA cache_size=-" + std::to_string(options.cache_bytes / 1024));
  connection.exec("PRAGMA journal_size_limit=" + std::to_string(options.wal_bytes_max));
  connection.exec("PRAGMA wal_autocheckpoint=" +
                  std::to_string(options.wal_checkpoint_bytes / options.page_bytes));
  if (create) {
    Transaction transaction(connection);
    connection.exec(schema);
    transaction.commit();
  }
  sdk::sync_dir(dir);
}

void prepare_reader(Connection& connection, const Options& options) {
  connection.exec("PRAGMA query_only=ON");
  connection.exec("PRAGMA temp_store=MEMORY");
  connection.exec("PRAGMA wal_autocheckpoint=0");
  connection.exec("PRAGMA cache_size=-" + std::to_string(options.reader_cache_bytes / 1024));
}

Transaction::Transaction(Connection& connection) : connection_(connection) {
  connection.begin();
}

Transaction::~Transaction() {
  if (open_) connection_.rollback();
}

void Transaction::commit() {
  connection_.commit();
  open_ = false;
}

}  // namespace kvstore::storage_sqlite
