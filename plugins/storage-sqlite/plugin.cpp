// The manifest of storage-sqlite.
#include <cstring>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/log_table.hpp>
#include <kvstore/sdk/plugin.hpp>
#include <kvstore/sdk/state_table.hpp>

#include <sqlite3.h>

#include "log.hpp"
#include "options.hpp"
#include "state.hpp"

namespace kvstore::storage_sqlite {
namespace {

constexpr kvs_log_api kLogTable = sdk::LogTable<Log>::table();
constexpr kvs_state_api kStateTable = sdk::StateTable<State, View, Iter, Restore>::table();

const kvs_interface_ref kInterfaces[] = {{KVS_LOG_ID, 0, 0}, {KVS_STATE_ID, 0, 0}};

const void* get_interface(const char* id) noexcept {
  if (std::strcmp(id, KVS_LOG_ID) == 0) return &kLogTable;
  if (std::strcmp(id, KVS_STATE_ID) == 0) return &kStateTable;
  return nullptr;
}

// Every connection is used by one thread at a time, which needs a library that is built for
// threads.
kvs_status load(const kvs_host*, kvs_error* err) noexcept {
  if (sqlite3_threadsafe() != 0) return KVS_OK;
  return sdk::fail(err, KVS_E_UNSUPPORTED, "the SQLite library is built without thread support");
}

const kvs_plugin_manifest kManifest = [] {
  auto m = sdk::manifest("kvstore.storage-sqlite", "0.1.0",
                         "Replicated log and applied state on SQLite", kInterfaces, get_interface);
  m.build = "gcc " __VERSION__ ", sqlite " SQLITE_VERSION;
  m.config_schema = kConfigSchema;
  m.load = load;
  return m;
}();

}  // namespace
}  // namespace kvstore::storage_sqlite

KVS_PLUGIN_ENTRY(kvstore::storage_sqlite::kManifest)
