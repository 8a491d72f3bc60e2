#include "log.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>

#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

#include <nlohmann/json.hpp>

namespace kvstore::storage_sqlite {
namespace {

constexpr sdk::EngineTag kTag{"sqlite", KVS_LOG_ID, 1};
constexpr const char* kDirectory = "/sqlite-log";
constexpr const char* kFile = "/log.db";
// Deletions of compacted entries: a compaction does this many at once, every write twice as many as
// it has entries and a few more, so that the sweep keeps ahead of the appends and no call pays for
// all of it.
constexpr uint64_t kSweepPerCompaction = 2048;
constexpr uint64_t kSweepPerWrite = 64;
// Indexes are rowids.
constexpr uint64_t kIndexMax = std::numeric_limits<int64_t>::max();

// meta: one row per record, with a checksum.  Rows: 1 hard state (term, voted_for, commit), 2 base
// (term, index), 3 a counter that gives a sync something to write.
constexpr const char* kSchema = R"sql(
  CREATE TABLE IF NOT EXISTS meta(id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, c INTEGER, sum INTEGER);
  CREATE TABLE IF NOT EXISTS entries(idx INTEGER PRIMARY KEY, term INTEGER, kind INTEGER, crc INTEGER,
                                     data BLOB);
)sql";
enum MetaRow : uint64_t { kHardRow = 1, kBaseRow = 2, kSyncRow = 3 };

sdk::Error corrupt(const std::string& what) {
  return sdk::Error(KVS_E_CORRUPT, "sqlite log: " + what);
}

struct MetaRecord {
  uint64_t a = 0;
  uint64_t b = 0;
  uint64_t c = 0;
};

uint64_t meta_sum(uint64_t id, const MetaRecord& m) {
  return row_sum(id, {reinterpret_cast<const char*>(&m), sizeof m}, {});
}

void put_meta(Statement& statement, uint64_t id, const MetaRecord& m) {
  statement.bind(1, id);
  statement.bind(2, m.a);
  statement.bind(3, m.b);
  statement.bind(4, m.c);
  statement.bind(5, meta_sum(id, m));
  statement.run();
}

// Reads from "SELECT a,b,c,sum FROM meta WHERE id=?1".
MetaRecord get_meta(Statement& statement, uint64_t id) {
  Resetter resetter(statement);
  statement.bind(1, id);
  if (!statement.step()) throw corrupt("record " + std::to_string(id) + " is missing");
  MetaRecord m{statement.number(0), statement.number(1), statement.number(2)};
  if (statement.number(3) != meta_sum(id, m)) {
    throw corrupt("record " + std::to_string(id) + " is damaged");
  }
  return m;
}

constexpr const char* kSelectMeta = "SELECT a,b,c,sum FROM meta WHERE id=?1";

// A read transaction of one call.
class ReadScope {
 public:
  explicit ReadScope(LogReader& reader) : reader_(reader) { reader_.begin.run(); }
  ReadScope(const ReadScope&) = delete;
  ReadScope& operator=(const ReadScope&) = delete;
  ~ReadScope() {
    reader_.select_entries.reset();
    reader_.select_term.reset();
    try {
      reader_.end.run();
    } catch (const sdk::Error&) {
      // SQLite ended the transaction itself.
    }
  }

 private:
  LogReader& reader_;
};

}  // namespace

LogReader::LogReader(const std::string& path, const Options& options) : connection(path) {
  prepare_reader(connection, options);
  begin = Statement(connection, "BEGIN");
  end = Statement(connection, "ROLLBACK");
  select_base = Statement(connection, kSelectMeta);
  select_entries = Statement(
      connection, "SELECT idx,term,kind,crc,data FROM entries WHERE idx>=?1 ORDER BY idx");
  select_term = Statement(connection, "SELECT term FROM entries WHERE idx=?1");
}

kvs_log_id LogReader::base() {
  const MetaRecord m = get_meta(select_base, kBaseRow);
  return {m.a, m.b};
}

Log::Log(const kvs_host*, const kvs_storage_options& options)
    : dir_(options, kTag),
      options_(parse_options(options.config_json, Role::kLog)),
      db_dir_(dir_.path() + kDirectory) {
  if (dir_.is_new()) {
    sdk::create_dirs(db_dir_);
  } else if (!std::filesystem::exists(db_dir_ + kFile)) {
    throw corrupt("the database is missing in " + db_dir_);
  }
  open_database();
  recover();
  if (dir_.is_new()) dir_.finish_create();
}

void Log::open_database() {
  writer_ = std::make_unique<Connection>(db_dir_ + kFile);
  prepare_writer(*writer_, db_dir_, options_, kSchema, dir_.is_new());
  put_meta_ = Statement(*writer_, "REPLACE INTO meta(id,a,b,c,sum) VALUES(?1,?2,?3,?4,?5)");
  insert_ =
      Statement(*writer_, "INSERT INTO entries(idx,term,kind,crc,data) VALUES(?1,?2,?3,?4,?5)");
  truncate_ = Statement(*writer_, "DELETE FROM entries WHERE idx>=?1");
  delete_range_ = Statement(*writer_, "DELETE FROM entries WHERE idx>=?1 AND idx<?2");
  delete_all_ = Statement(*writer_, "DELETE FROM entries");
  if (dir_.is_new()) {
    Transaction transaction(*writer_);
    writer_->exec("DELETE FROM meta; DELETE FROM entries");
    store_hard_state(hard_);
    store_base(base_);
    transaction.commit();
  }
  readers_ = std::make_unique<ReaderPool<LogReader>>(
      options_.readers_idle, options_.readers_max,
      [this] { return std::make_unique<LogReader>(db_dir_ + kFile, options_); });
}

void Log::recover() {
  Statement meta(*writer_, kSelectMeta);
  const MetaRecord hard = get_meta(meta, kHardRow);
  hard_ = {hard.a, hard.b, hard.c};
  const MetaRecord base = get_meta(meta, kBaseRow);
  base_ = last_ = {base.a, base.b};
  sweep_from_ = base_.index + 1;
  Statement ends(*writer_,
                 "SELECT * FROM (SELECT idx,term FROM entries ORDER BY idx LIMIT 1) UNION ALL "
                 "SELECT * FROM (SELECT idx,term FROM entries ORDER BY idx DESC LIMIT 1)");
  if (!ends.step()) return;
  const uint64_t first = ends.number(0);
  if (!ends.step()) throw corrupt("the last entry cannot be read");
  const kvs_log_id last{ends.number(1), ends.number(0)};
  ends.reset();
  if (first > base_.index + 1) {
    throw corrupt("entry " + std::to_string(base_.index + 1) + " is missing");
  }
  sweep_from_ = first;
  if (last.index > base_.index) last_ = last;
}

void Log::store_hard_state(const kvs_hard_state& hard) {
  put_meta(put_meta_, kHardRow, {hard.term, hard.voted_for, hard.commit});
}

void Log::store_base(const kvs_log_id& base) {
  put_meta(put_meta_, kBaseRow, {base.term, base.index, 0});
}

void Log::publish(const kvs_hard_state& hard, const kvs_log_id& base, const kvs_log_id& last) {
  std::lock_guard lock(mutex_);
  hard_ = hard;
  base_ = base;
  last_ = last;
}

uint64_t Log::sweep(uint64_t count_max, uint64_t base_index) {
  if (sweep_from_ > base_index) return sweep_from_;
  const uint64_t end = std::min(base_index + 1, sweep_from_ + count_max);
  delete_range_.bind(1, sweep_from_);
  delete_range_.bind(2, end);
  delete_range_.run();
  return end;
}

void Log::insert_entries(const kvs_log_write& w) {
  for (uint64_t i = 0; i < w.entry_count; ++i) {
    const kvs_entry& e = w.entries[i];
    insert_.bind(1, e.id.index);
    insert_.bind(2, e.id.term);
    insert_.bind(3, static_cast<uint64_t>(e.kind));
    insert_.bind(4, static_cast<uint64_t>(e.crc32c));
    insert_.bind(5, sdk::view(e.data));
    insert_.run();
  }
}

void Log::write(const kvs_log_write& w) {
  const kvs_log_id last = sdk::check_log_write(w, base_, last_, [this](uint64_t index) {
    uint64_t found = 0;
    if (term(index, &found) != KVS_OK)
      throw corrupt("entry " + std::to_string(index) + " is missing");
    return found;
  });
  if (last.index > kIndexMax) throw sdk::Error(KVS_E_INVALID, "the entry index exceeds 2^63-1");
  const bool sync = (w.flags & KVS_LOG_SYNC) != 0;
  const bool sets_hard = (w.flags & KVS_LOG_SET_HARD_STATE) != 0;
  const bool truncates = (w.flags & KVS_LOG_TRUNCATE) != 0 && w.truncate_from <= last_.index;
  if (!sync && !sets_hard && !truncates && w.entry_count == 0) return;
  writer_->set_full_sync(sync);
  Transaction transaction(*writer_);
  if (sets_hard) store_hard_state(w.hard);
  if (truncates) {
    truncate_.bind(1, w.truncate_from);
    truncate_.run();
  }
  insert_entries(w);
  const uint64_t swept = sweep(kSweepPerWrite + 2 * w.entry_count, base_.index);
  // A transaction without changes would not be synced.
  if (sync && !sets_hard && w.entry_count == 0)
    put_meta(put_meta_, kSyncRow, {++empty_syncs_, 0, 0});
  transaction.commit();
  sweep_from_ = swept;
  publish(sets_hard ? w.hard : hard_, base_, last);
}

void Log::compact(const kvs_log_id& upto) {
  if (upto.index > last_.index) {
    throw sdk::Error(KVS_E_INVALID, "cannot compact to " + std::to_string(upto.index) +
                                        ", the last entry is " + std::to_string(last_.index));
  }
  if (upto.index <= base_.index) return;
  uint64_t found = 0;
  if (term(upto.index, &found) != KVS_OK || found != upto.term) {
    throw sdk::Error(KVS_E_INVALID, "cannot compact: entry " + std::to_string(upto.index) +
                                        " has another term than " + std::to_string(upto.term));
  }
  writer_->set_full_sync(false);
  Transaction transaction(*writer_);
  store_base(upto);
  const uint64_t swept = sweep(kSweepPerCompaction, upto.index);
  transaction.commit();
  sweep_from_ = swept;
  publish(hard_, upto, last_);
}

void Log::reset(const kvs_log_id& base) {
  if (base.index >= kIndexMax) throw sdk::Error(KVS_E_INVALID, "the base index exceeds 2^63-2");
  writer_->set_full_sync(true);
  Transaction transaction(*writer_);
  delete_all_.run();
  store_base(base);
  transaction.commit();
  sweep_from_ = base.index + 1;
  publish(hard_, base, base);
}

kvs_log_state Log::state() const {
  std::lock_guard lock(mutex_);
  kvs_log_state s{};
  s.hard = hard_;
  s.base = base_;
  s.last = last_;
  return s;
}

kvs_status Log::read(uint64_t first, uint64_t max_count, uint64_t max_bytes, kvs_entry_sink sink,
                     void* ctx) {
  auto reader = readers_->take(ReaderPool<LogReader>::AtLimit::kWait);
  ReadScope scope(*reader);
  const kvs_log_id base = reader->base();
  if (first <= base.index) return KVS_E_COMPACTED;
  if (first > kIndexMax) return KVS_E_END;
  Statement& row = reader->select_entries;
  row.bind(1, first);
  uint64_t bytes = 0;
  uint64_t index = first;
  for (; index - first < max_count && row.step(); ++index) {
    if (row.number(0) != index) throw corrupt("entry " + std::to_string(index) + " is missing");
    const kvs_entry entry{{row.number(1), index},
                          static_cast<uint32_t>(row.number(2)),
                          static_cast<uint32_t>(row.number(3)),
                          sdk::slice(row.bytes(4))};
    if (index > first && (bytes >= max_bytes || entry.data.len > max_bytes - bytes)) return KVS_OK;
    const kvs_status status = sink(ctx, &entry);
    if (status != KVS_OK) return status;
    bytes += entry.data.len;
  }
  return index == first ? KVS_E_END : KVS_OK;
}

kvs_status Log::term(uint64_t index, uint64_t* term) {
  {
    std::lock_guard lock(mutex_);
    if (index < base_.index) return KVS_E_COMPACTED;
    if (index > last_.index) return KVS_E_END;
    if (index == base_.index || index == last_.index) {
      *term = index == base_.index ? base_.term : last_.term;
      return KVS_OK;
    }
  }
  auto reader = readers_->take(ReaderPool<LogReader>::AtLimit::kWait);
  ReadScope scope(*reader);
  const kvs_log_id base = reader->base();
  if (index < base.index) return KVS_E_COMPACTED;
  if (index == base.index) {
    *term = base.term;
    return KVS_OK;
  }
  reader->select_term.bind(1, index);
  if (!reader->select_term.step()) return KVS_E_END;  // truncated since the caller looked
  *term = reader->select_term.number(0);
  return KVS_OK;
}

std::string Log::stats() {
  const kvs_log_state s = state();
  std::error_code ignored;
  auto size_of = [&](const char* suffix) -> uint64_t {
    const auto size = std::filesystem::file_size(db_dir_ + kFile + suffix, ignored);
    return ignored ? 0 : size;
  };
  return nlohmann::json{{"engine", "sqlite"},           {"base_index", s.base.index},
                        {"last_index", s.last.index},   {"database_bytes", size_of("")},
                        {"wal_bytes", size_of("-wal")}, {"failed", latch_.is_set()}}
      .dump();
}

}  // namespace kvstore::storage_sqlite
