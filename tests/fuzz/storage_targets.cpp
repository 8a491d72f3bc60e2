// What the storage plugins decode themselves: LevelDB keys and values, the redo record, and the
// small files that say what a data directory is.  SQLite's rows have typed columns.
#include <optional>

#include <kvstore/sdk/data_dir.hpp>
#include <kvstore/sdk/generations.hpp>

#include "database.hpp"
#include "log_format.hpp"
#include "options.hpp"
#include "quiet_host.hpp"
#include "scratch_dir.hpp"
#include "state_batch.hpp"
#include "state_format.hpp"
#include "target.hpp"

namespace kvstore::fuzz {
namespace {

using namespace storage_leveldb;

void run_leveldb_record(Bytes input) {
  switch (take_choice(&input, 5)) {
    case 0: {
      kvs_entry entry{};
      if (!decode_entry(input, 7, &entry)) return;
      std::string again;
      encode_entry(entry, &again);
      KVS_ASSERT(again == input && entry.id.index == 7);
      return;
    }
    case 1: {
      Base base;
      if (decode_base(input, &base)) KVS_ASSERT(encode_base(base) == input);
      return;
    }
    case 2: {
      kvs_hard_state hard{};
      if (decode_hard_state(input, &hard)) KVS_ASSERT(encode_hard_state(hard) == input);
      return;
    }
    case 3: {
      kvs_log_id at{};
      if (decode_applied(input, &at)) KVS_ASSERT(encode_applied(at) == input);
      return;
    }
    default: {
      const auto at = parse_entry_key(input);
      if (at) KVS_ASSERT(EntryKey(at->epoch, at->index).view() == input);
    }
  }
}

void seed_leveldb_record(Seeds* out) {
  kvs_entry entry{};
  entry.id = {3, 7};
  entry.kind = 1;
  entry.crc32c = 0xdeadbeef;
  entry.data = sdk::slice(Bytes("data"));
  std::string value;
  encode_entry(entry, &value);
  out->push_back(std::string(1, '\0') + value);
  out->push_back("\1" + encode_base({{3, 100}, 5}));
  out->push_back("\2" + encode_hard_state({9, 77, 99}));
  out->push_back("\3" + encode_applied({3, 50}));
  out->push_back("\4" + std::string(EntryKey(5, 1000).view()));
}

// A database that is made once; the redo record's keys stay in it.
Database& database() {
  static const ScratchDir dir;
  static Database db(quiet_host(), dir.path() + "/db", parse_options(kvs_slice{}, Role::kState),
                     true);
  return db;
}

// A damaged record is refused; one that is taken is done with, and doing it twice is like once.
void run_leveldb_redo(Bytes input) {
  Database& db = database();
  leveldb::WriteBatch put;
  put.Put(to_leveldb(kRedoKey), to_leveldb(input));
  db.write(&put, false);
  const std::string record(input);
  std::string applied, again;
  try {
    apply_redo(db, record, false);
  } catch (const sdk::Error& e) {
    KVS_ASSERT(e.code() == KVS_E_CORRUPT && *e.what() != '\0');
    KVS_ASSERT(db.get(kRedoKey, nullptr, &again) && again == record);
    return;
  }
  KVS_ASSERT(!db.get(kRedoKey, nullptr, &again));
  KVS_ASSERT(db.get(kAppliedKey, nullptr, &applied));
  kvs_log_id at{};
  KVS_ASSERT(decode_applied(applied, &at));
  apply_redo(db, record, false);
  KVS_ASSERT(db.get(kAppliedKey, nullptr, &again) && again == applied);
}

void seed_leveldb_redo(Seeds* out) {
  const auto op = [](uint32_t kind, const char* key, const char* value) {
    kvs_kv_op o{};
    o.kind = kind;
    o.space = 2;
    o.key = sdk::slice(Bytes(key));
    o.value = sdk::slice(Bytes(value));
    return o;
  };
  const kvs_kv_op ops[] = {op(KVS_KV_PUT, "a", "1"), op(KVS_KV_DELETE, "b", ""),
                           op(KVS_KV_DELETE_RANGE, "c", "d"), op(KVS_KV_DELETE_RANGE, "x", "")};
  kvs_kv_batch batch{};
  batch.struct_size = sizeof batch;
  batch.ops = ops;
  batch.op_count = std::size(ops);
  kvs_applied applied{};
  applied.struct_size = sizeof applied;
  applied.at = {4, 500};
  applied.meta = sdk::slice(Bytes("meta"));
  out->push_back(encode_redo(batch, applied));
  batch.op_count = 0;
  applied.meta = {};
  out->push_back(encode_redo(batch, applied));
}

// The first byte chooses the file.
void run_data_dir_file(Bytes input) {
  static const ScratchDir dir;
  static const bool made = std::filesystem::create_directory(dir.path() + "/leveldb-000003");
  KVS_ASSERT(made);
  const bool engine = take_choice(&input, 2) == 0;
  dir.write(engine ? "ENGINE" : "CURRENT", input);
  try {
    if (engine) {
      kvs_storage_options options{};
      options.struct_size = sizeof options;
      options.data_dir = sdk::slice(dir.path());
      KVS_ASSERT(!sdk::DataDir(options, {"leveldb", KVS_LOG_ID, 1}).is_new());
    } else {
      const uint64_t number = sdk::Generations(dir.path(), "leveldb").current();
      KVS_ASSERT(number == 3);
    }
  } catch (const sdk::Error& e) {
    KVS_ASSERT(e.code() == KVS_E_CORRUPT || e.code() == KVS_E_INCOMPATIBLE);
    KVS_ASSERT(*e.what() != '\0');
  }
}

void seed_data_dir_file(Seeds* out) {
  for (const char* interface : {KVS_LOG_ID, KVS_STATE_ID}) {
    out->push_back(std::string(1, '\0') + "kvstore-storage 1\nengine leveldb\ninterface " +
                   interface + "\nformat 1\n");
  }
  *out->insert(out->end(), "\1leveldb-000003\n");
  *out->insert(out->end(), "\1leveldb-000004");
}

constexpr Target kTargets[] = {
    {"leveldb_record", run_leveldb_record, seed_leveldb_record},
    {"leveldb_redo", run_leveldb_redo, seed_leveldb_redo},
    {"data_dir_file", run_data_dir_file, seed_data_dir_file},
};

}  // namespace

std::span<const Target> storage_targets() {
  return kTargets;
}

}  // namespace kvstore::fuzz
