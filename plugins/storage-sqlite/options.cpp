#include "options.hpp"

#include <kvstore/sdk/options.hpp>

namespace kvstore::storage_sqlite {

const char kConfigSchema[] = R"json({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "cache_bytes": {
      "type": "integer", "minimum": 262144, "maximum": 68719476736,
      "description": "Page cache of the writer. Default 8 MiB for the log, 64 MiB for the state."
    },
    "reader_cache_bytes": {
      "type": "integer", "minimum": 65536, "maximum": 1073741824,
      "description": "Page cache of each reader connection. Default 2 MiB."
    },
    "readers_idle": {
      "type": "integer", "minimum": 1, "maximum": 1024,
      "description": "Reader connections kept open when unused. Default 8."
    },
    "readers_max": {
      "type": "integer", "minimum": 1, "maximum": 1024,
      "description": "Reader connections, and so views, open at a time; more are BUSY. Default 64."
    },
    "page_bytes": {
      "enum": [4096, 8192, 16384, 32768],
      "description": "Page size of a new database. Default 4096."
    },
    "wal_checkpoint_bytes": {
      "type": "integer", "minimum": 65536, "maximum": 1073741824,
      "description": "Size of the write-ahead file from which it is moved into the database. Default 4 MiB for the log, 16 MiB for the state."
    },
    "wal_bytes_max": {
      "type": "integer", "minimum": 1048576, "maximum": 17179869184,
      "description": "Size of the write-ahead file from which new views wait for a moment so that it can be emptied. Default 256 MiB."
    }
  }
})json";

Options parse_options(const kvs_slice& config_json, Role role) {
  constexpr uint64_t kKiB = 1024;
  constexpr uint64_t kMiB = 1024 * kKiB;
  constexpr uint64_t kGiB = 1024 * kMiB;
  const bool state = role == Role::kState;
  sdk::Options in(config_json);
  Options out{};
  out.cache_bytes =
      in.unsigned_integer("cache_bytes", (state ? 64 : 8) * kMiB, 256 * kKiB, 64 * kGiB);
  out.reader_cache_bytes = in.unsigned_integer("reader_cache_bytes", 2 * kMiB, 64 * kKiB, kGiB);
  out.readers_idle = in.unsigned_integer("readers_idle", 8, 1, 1024);
  out.readers_max = in.unsigned_integer("readers_max", 64, 1, 1024);
  out.page_bytes = in.unsigned_integer("page_bytes", 4096, 4096, 32768);
  out.wal_checkpoint_bytes =
      in.unsigned_integer("wal_checkpoint_bytes", (state ? 16 : 4) * kMiB, 64 * kKiB, kGiB);
  out.wal_bytes_max = in.unsigned_integer("wal_bytes_max", 256 * kMiB, kMiB, 16 * kGiB);
  in.reject_unknown();
  if ((out.page_bytes & (out.page_bytes - 1)) != 0) {
    throw sdk::Error(KVS_E_INVALID, "/page_bytes: must be 4096, 8192, 16384 or 32768");
  }
  return out;
}

}  // namespace kvstore::storage_sqlite
