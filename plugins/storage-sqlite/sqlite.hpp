// SQLite connections, statements and transactions as objects, with failures as sdk::Error.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <kvstore/sdk/guard.hpp>

#include "options.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace kvstore::storage_sqlite {

class Connection;

// A prepared statement.  Parameters are numbered from 1 and columns from 0; bound bytes are
// borrowed until reset(), column bytes until the next step() or reset().
class Statement {
 public:
  Statement() = default;
  Statement(Connection& connection, const std::string& sql);
  Statement(Statement&& other) noexcept
      : connection_(other.connection_), stmt_(std::exchange(other.stmt_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(stmt_, other.stmt_);
    return *this;
  }
  ~Statement();

  void bind(int parameter, uint64_t v);
  void bind(int parameter, std::string_view bytes);
  // True while there is a row.
  bool step();
  // Steps a statement that gives no rows, and resets it.
  void run();
  void reset() noexcept;
  uint64_t number(int column) const;
  std::string_view bytes(int column) const;

 private:
  Connection* connection_ = nullptr;
  sqlite3_stmt* stmt_ = nullptr;
};

// Resets a statement at the end of a scope, so that it holds no read transaction open.
class Resetter {
 public:
  explicit Resetter(Statement& statement) : statement_(statement) {}
  Resetter(const Resetter&) = delete;
  Resetter& operator=(const Resetter&) = delete;
  ~Resetter() { statement_.reset(); }

 private:
  Statement& statement_;
};

// One connection, used by one thread at a time.
class Connection {
 public:
  explicit Connection(const std::string& path);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  void exec(const std::string& sql);
  // BEGIN IMMEDIATE, COMMIT and ROLLBACK, prepared once.
  void begin();
  void commit();
  void rollback() noexcept;  // harmless when SQLite rolled back by itself
  // Whether commits sync the write-ahead file.
  void set_full_sync(bool full);
  // PASSIVE: moves what it can beside readers and writers.  TRUNCATE: empties the write-ahead file,
  // or does nothing (false) when somebody uses it.
  void checkpoint_passive();
  bool checkpoint_truncate();
  [[noreturn]] void fail(int code, const char* what);
  sqlite3* raw() { return db_; }

 private:
  void run(sqlite3_stmt** prepared, const char* sql);

  sqlite3* db_ = nullptr;
  sqlite3_stmt* begin_ = nullptr;
  sqlite3_stmt* commit_ = nullptr;
  int full_sync_ = -1;  // unknown
};

// Opens the database of a writer in write-ahead mode, made durable with its name; schema is run
// when `create`.  A database without the schema is CORRUPT.
void prepare_writer(Connection& connection, const std::string& dir, const Options& options,
                    const char* schema, bool create);
void prepare_reader(Connection& connection, const Options& options);

// BEGIN IMMEDIATE ... COMMIT; rolled back when destroyed before commit().
class Transaction {
 public:
  explicit Transaction(Connection& connection);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  void commit();

 private:
  Connection& connection_;
  bool open_ = true;
};

// Checksum of a row: SQLite has none of its own for the database's pages.
uint64_t row_sum(uint64_t seed, std::string_view a, std::string_view b);

}  // namespace kvstore::storage_sqlite
