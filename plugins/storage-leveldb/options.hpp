// The plugin's options: one JSON object for the log and one for the state, with different defaults.
#pragma once

#include <cstdint>

#include <kvstore/abi/base.h>

namespace kvstore::storage_leveldb {

// JSON Schema of the options, published in the manifest.
extern const char kConfigSchema[];

enum class Role { kLog, kState };

struct Options {
  uint64_t write_buffer_bytes;
  uint64_t block_cache_bytes;
  uint64_t max_file_bytes;
  uint64_t block_bytes;
  uint64_t open_files_max;
  uint64_t bloom_bits;
  bool compression;
};

// Throws sdk::Error(INVALID) that names the offending option as a JSON pointer.
Options parse_options(const kvs_slice& config_json, Role role);

}  // namespace kvstore::storage_leveldb
