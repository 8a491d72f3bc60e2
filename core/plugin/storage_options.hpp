// The C form of StorageOptions (internal to the faces).
#pragma once

#include <kvstore/abi/storage.h>

#include "plugin/options.hpp"
#include "plugin/slice.hpp"

namespace kvstore::plugin {

// Borrows the strings of `options`.
inline kvs_storage_options raw_storage_options(const StorageOptions& options) {
  kvs_storage_options raw{};
  raw.struct_size = sizeof raw;
  raw.flags = (options.create ? uint32_t{KVS_STORAGE_CREATE} : 0) |
              (options.read_only ? uint32_t{KVS_STORAGE_READ_ONLY} : 0);
  raw.data_dir = to_slice(options.data_dir);
  raw.config_json = to_slice(options.config_json);
  return raw;
}

}  // namespace kvstore::plugin
