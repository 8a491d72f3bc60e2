#include "generation.hpp"

#include <cerrno>
#include <filesystem>

#include <kvstore/sdk/file.hpp>
#include <kvstore/sdk/slice.hpp>

#include <fcntl.h>
#include <unistd.h>

namespace kvstore::storage_sqlite {
namespace {

constexpr const char* kFile = "/state.db";
// What a restore writes between two commits.
constexpr uint64_t kStagedCommitBytes = 16u << 20;
// How long a checkpoint that must empty the write-ahead file holds back new views.
constexpr std::chrono::milliseconds kCheckpointPatience{50};

// kv: the pairs, each with a checksum.  meta: 1 applied mark (term, index), 2 the core's blob, 3 a
// counter that gives a sync something to write.
constexpr const char* kSchema = R"sql(
  CREATE TABLE IF NOT EXISTS kv(space INTEGER, key BLOB, value BLOB, sum INTEGER,
                                PRIMARY KEY(space, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS meta(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, blob BLOB, sum INTEGER);
)sql";
enum MetaRow : uint64_t { kMarkRow = 1, kBlobRow = 2, kSyncRow = 3 };

constexpr const char* kPutPair = "REPLACE INTO kv(space,key,value,sum) VALUES(?1,?2,?3,?4)";
constexpr const char* kPutMeta = "REPLACE INTO meta(id,a,b,blob,sum) VALUES(?1,?2,?3,?4,?5)";
constexpr const char* kSelectMeta = "SELECT a,b,blob,sum FROM meta WHERE id=?1";
constexpr const char* kSelectValue = "SELECT value,sum FROM kv WHERE space=?1 AND key=?2";

sdk::Error corrupt(const std::string& what) {
  return sdk::Error(KVS_E_CORRUPT, "sqlite state: " + what);
}

uint64_t meta_sum(uint64_t id, uint64_t a, uint64_t b, std::string_view blob) {
  const uint64_t fields[2] = {a, b};
  return row_sum(id, {reinterpret_cast<const char*>(fields), sizeof fields}, blob);
}

void put_meta(Statement& s, uint64_t id, uint64_t a, uint64_t b, std::string_view blob) {
  s.bind(1, id);
  s.bind(2, a);
  s.bind(3, b);
  s.bind(4, blob);
  s.bind(5, meta_sum(id, a, b, blob));
  s.run();
}

// Leaves the statement on its row; the caller resets it.
void get_meta(Statement& s, uint64_t id) {
  s.bind(1, id);
  if (!s.step()) throw corrupt("record " + std::to_string(id) + " is missing");
  if (s.number(3) != meta_sum(id, s.number(0), s.number(1), s.bytes(2))) {
    throw corrupt("record " + std::to_string(id) + " is damaged");
  }
}

void put_pair(Statement& s, uint32_t space, std::string_view key, std::string_view value) {
  s.bind(1, static_cast<uint64_t>(space));
  s.bind(2, key);
  s.bind(3, value);
  s.bind(4, pair_sum(space, key, value));
  s.run();
}

kvs_log_id read_mark(Statement& s) {
  Resetter resetter(s);
  get_meta(s, kMarkRow);
  return {s.number(0), s.number(1)};
}

std::string read_blob(Statement& s) {
  Resetter resetter(s);
  get_meta(s, kBlobRow);
  return std::string(s.bytes(2));
}

std::string scan_sql(const ScanShape& shape) {
  std::string sql = shape.keys_only ? "SELECT key FROM kv" : "SELECT key,value,sum FROM kv";
  sql += " WHERE space=?1 AND key>=?2";
  if (shape.bounded) sql += " AND key<?3";
  return sql + (shape.reverse ? " ORDER BY key DESC" : " ORDER BY key");
}

}  // namespace

uint64_t pair_sum(uint64_t space, std::string_view key, std::string_view value) {
  return row_sum(space, key, value);
}

// ---- reader

StateReader::StateReader(const std::string& path, const Options& options) : connection_(path) {
  prepare_reader(connection_, options);
  begin_ = Statement(connection_, "BEGIN");
  end_ = Statement(connection_, "ROLLBACK");
  select_mark_ = Statement(connection_, kSelectMeta);
  select_meta_ = Statement(connection_, kSelectMeta);
  select_value_ = Statement(connection_, kSelectValue);
}

kvs_log_id StateReader::begin() {
  begin_.run();
  try {
    return read_mark(select_mark_);
  } catch (...) {
    end();
    throw;
  }
}

void StateReader::end() noexcept {
  try {
    end_.run();
  } catch (const sdk::Error&) {
    // SQLite ended the transaction itself.
  }
}

std::string StateReader::meta() {
  return read_blob(select_meta_);
}

Statement StateReader::take_scan(const ScanShape& shape) {
  std::vector<Statement>& idle = scans_[shape.number()];
  if (idle.empty()) {
    idle.reserve(4);
    return Statement(connection_, scan_sql(shape));
  }
  Statement statement = std::move(idle.back());
  idle.pop_back();
  return statement;
}

void StateReader::give_scan(const ScanShape& shape, Statement statement) noexcept {
  statement.reset();
  std::vector<Statement>& idle = scans_[shape.number()];
  if (idle.size() < idle.capacity()) idle.push_back(std::move(statement));
}

// ---- generation

Generation::Generation(sdk::GenerationDir dir, const Options& options, bool create)
    : dir_(std::move(dir)), path_(dir_.path() + kFile), options_(options) {
  if (!create && !std::filesystem::exists(path_))
    throw corrupt("the database is missing: " + path_);
  writer_ = std::make_unique<Connection>(path_);
  // Commits leave the write-ahead file to sync(), unless nobody calls it.
  Options writer_options = options_;
  writer_options.wal_checkpoint_bytes = options_.wal_bytes_max;
  prepare_writer(*writer_, dir_.path(), writer_options, kSchema, create);
  put_ = Statement(*writer_, kPutPair);
  delete_ = Statement(*writer_, "DELETE FROM kv WHERE space=?1 AND key=?2");
  delete_range_ = Statement(*writer_, "DELETE FROM kv WHERE space=?1 AND key>=?2 AND key<?3");
  delete_from_ = Statement(*writer_, "DELETE FROM kv WHERE space=?1 AND key>=?2");
  put_mark_ = Statement(*writer_, kPutMeta);
  put_meta_ = Statement(*writer_, kPutMeta);
  select_value_ = Statement(*writer_, kSelectValue);
  if (create) {
    Transaction transaction(*writer_);
    put_meta(put_mark_, kMarkRow, 0, 0, {});
    put_meta(put_meta_, kBlobRow, 0, 0, {});
    transaction.commit();
  }
  checkpointer_ = std::make_unique<Connection>(path_);
  checkpointer_->exec("PRAGMA synchronous=FULL");
  readers_ = std::make_unique<StateReaderPool>(options_.readers_idle, options_.readers_max, [this] {
    return std::make_unique<StateReader>(path_, options_);
  });
}

void Generation::apply(const kvs_kv_op& op) {
  const std::string_view key = sdk::view(op.key);
  if (op.kind == KVS_KV_PUT) return put_pair(put_, op.space, key, sdk::view(op.value));
  const bool to_end = op.kind == KVS_KV_DELETE_RANGE && op.value.len == 0;
  Statement& s = op.kind == KVS_KV_DELETE ? delete_ : to_end ? delete_from_ : delete_range_;
  s.bind(1, static_cast<uint64_t>(op.space));
  s.bind(2, key);
  if (op.kind == KVS_KV_DELETE_RANGE && !to_end) s.bind(3, sdk::view(op.value));
  s.run();
}

void Generation::put_applied(const kvs_applied& applied) {
  put_meta(put_mark_, kMarkRow, applied.at.term, applied.at.index, {});
  if (applied.meta.len > 0) put_meta(put_meta_, kBlobRow, 0, 0, sdk::view(applied.meta));
}

void Generation::write(const kvs_kv_batch& batch, const kvs_applied& applied) {
  std::lock_guard lock(writer_mutex_);
  writer_->set_full_sync((batch.flags & KVS_KV_SYNC) != 0);
  Transaction transaction(*writer_);
  for (uint64_t i = 0; i < batch.op_count; ++i) apply(batch.ops[i]);
  put_applied(applied);
  transaction.commit();
}

void Generation::sync() {
  // The bulk is synced beside the writer, which then waits only for the rest.  A descriptor of our
  // own is harmless on the write-ahead file: SQLite keeps its locks on the other two.
  int raw = ::open((path_ + "-wal").c_str(), O_RDONLY | O_CLOEXEC);
  if (raw < 0 && errno != ENOENT) throw sdk::system_error("open", path_ + "-wal", errno);
  if (raw >= 0) {
    sdk::Fd fd(raw);
    if (::fdatasync(fd.get()) != 0) throw sdk::system_error("sync", path_ + "-wal", errno);
  }
  {
    std::lock_guard lock(writer_mutex_);
    writer_->set_full_sync(true);
    Transaction transaction(*writer_);
    put_meta(put_mark_, kSyncRow, ++syncs_, 0, {});
    transaction.commit();
  }
  checkpoint();
}

void Generation::checkpoint() {
  if (file_bytes("-wal") < options_.wal_checkpoint_bytes) return;
  std::lock_guard checkpoint_lock(checkpoint_mutex_);
  checkpointer_->checkpoint_passive();
  if (file_bytes("-wal") < options_.wal_bytes_max) return;
  // Overlapping views kept the write-ahead file in use: hold new ones back for a moment.
  struct Pause {
    explicit Pause(StateReaderPool& p) : pool(p) {}
    ~Pause() { pool.resume(); }
    StateReaderPool& pool;
  } pause(*readers_);
  if (!readers_->pause(kCheckpointPatience)) return;
  std::lock_guard lock(writer_mutex_);
  writer_->checkpoint_truncate();
}

uint64_t Generation::file_bytes(const char* suffix) const {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path_ + suffix, failed);
  return failed ? 0 : size;
}

kvs_status Generation::get_many(uint32_t space, const kvs_slice* keys, uint32_t n,
                                kvs_found_sink sink, void* ctx) {
  std::lock_guard lock(writer_mutex_);
  for (uint32_t i = 0; i < n; ++i) {
    Resetter resetter(select_value_);
    const std::string_view key = sdk::view(keys[i]);
    select_value_.bind(1, static_cast<uint64_t>(space));
    select_value_.bind(2, key);
    const bool found = select_value_.step();
    kvs_slice value{nullptr, 0};
    if (found) {
      const std::string_view bytes = select_value_.bytes(0);
      if (select_value_.number(1) != pair_sum(space, key, bytes))
        throw corrupt("a pair is damaged");
      value = sdk::slice(bytes);
    }
    const kvs_status status = sink(ctx, i, found ? 1 : 0, &value);
    if (status != KVS_OK) return status;
  }
  return KVS_OK;
}

AppliedMark Generation::mark() {
  std::lock_guard lock(writer_mutex_);
  Statement select(*writer_, kSelectMeta);
  AppliedMark mark;
  mark.at = read_mark(select);
  mark.meta = read_blob(select);
  return mark;
}

// ---- staging

StagedGeneration::StagedGeneration(const std::string& dir, const Options& options) : dir_(dir) {
  connection_ = std::make_unique<Connection>(dir_ + kFile);
  connection_->exec("PRAGMA page_size=" + std::to_string(options.page_bytes));
  connection_->exec("PRAGMA journal_mode=OFF");
  connection_->exec("PRAGMA synchronous=OFF");
  connection_->exec("PRAGMA locking_mode=EXCLUSIVE");
  connection_->exec("PRAGMA temp_store=MEMORY");
  connection_->exec("PRAGMA cache_size=-" + std::to_string(options.cache_bytes / 1024));
  connection_->exec(kSchema);
  put_ = Statement(*connection_, kPutPair);
  connection_->exec("BEGIN IMMEDIATE");
}

void StagedGeneration::put(uint32_t space, const kvs_pair* pairs, uint32_t n) {
  for (uint32_t i = 0; i < n; ++i) {
    put_pair(put_, space, sdk::view(pairs[i].key), sdk::view(pairs[i].value));
    uncommitted_bytes_ += pairs[i].key.len + pairs[i].value.len;
  }
  if (uncommitted_bytes_ < kStagedCommitBytes) return;
  connection_->exec("COMMIT");
  connection_->exec("BEGIN IMMEDIATE");
  uncommitted_bytes_ = 0;
}

void StagedGeneration::finish(const AppliedMark& mark) {
  {
    Statement meta(*connection_, kPutMeta);
    put_meta(meta, kMarkRow, mark.at.term, mark.at.index, {});
    put_meta(meta, kBlobRow, 0, 0, mark.meta);
  }
  connection_->exec("COMMIT");
  put_ = Statement();
  connection_.reset();
  // Only now: another descriptor on the database's file would end SQLite's locks when closed.
  sdk::sync_file(dir_ + kFile);
  sdk::sync_dir(dir_);
}

}  // namespace kvstore::storage_sqlite
