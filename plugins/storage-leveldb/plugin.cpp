// The manifest of storage-leveldb.
#include <cstring>

#include <kvstore/sdk/log_table.hpp>
#include <kvstore/sdk/plugin.hpp>
#include <kvstore/sdk/state_table.hpp>

#include <leveldb/db.h>

#include "log.hpp"
#include "options.hpp"
#include "state.hpp"

namespace kvstore::storage_leveldb {
namespace {

constexpr kvs_log_api kLogTable = sdk::LogTable<Log>::table();
constexpr kvs_state_api kStateTable =
    sdk::StateTable<State, View, Iter, Restore, KVS_CAP_CHEAP_LONG_VIEWS>::table();

const kvs_interface_ref kInterfaces[] = {{KVS_LOG_ID, 0, 0}, {KVS_STATE_ID, 0, 0}};

const void* get_interface(const char* id) noexcept {
  if (std::strcmp(id, KVS_LOG_ID) == 0) return &kLogTable;
  if (std::strcmp(id, KVS_STATE_ID) == 0) return &kStateTable;
  return nullptr;
}

const kvs_plugin_manifest kManifest = [] {
  auto m = sdk::manifest("kvstore.storage-leveldb", "0.1.0",
                         "Replicated log and applied state on LevelDB", kInterfaces, get_interface);
  m.build = "gcc " __VERSION__ ", leveldb 1.23";
  m.config_schema = kConfigSchema;
  return m;
}();
static_assert(leveldb::kMajorVersion == 1 && leveldb::kMinorVersion == 23,
              "The environment in env.hpp was written against the internals of LevelDB 1.23.");

}  // namespace
}  // namespace kvstore::storage_leveldb

KVS_PLUGIN_ENTRY(kvstore::storage_leveldb::kManifest)
