// The plugin's options: one JSON object for the log and one for the state, with different defaults.
#pragma once

#include <cstdint>

#include <kvstore/abi/base.h>

namespace kvstore::storage_sqlite {

// JSON Schema of the options, published in the manifest.
extern const char kConfigSchema[];

enum class Role { kLog, kState };

struct Options {
  uint64_t cache_bytes;
  uint64_t reader_cache_bytes;
  uint64_t readers_idle;
  uint64_t readers_max;
  uint64_t page_bytes;
  uint64_t wal_checkpoint_bytes;
  uint64_t wal_bytes_max;
};

// Throws sdk::Error(INVALID) that names the offending option as a JSON pointer.
Options parse_options(const kvs_slice& config_json, Role role);

}  // namespace kvstore::storage_sqlite
