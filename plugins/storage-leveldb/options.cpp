#include "options.hpp"

#include <string>

#include <kvstore/sdk/options.hpp>

namespace kvstore::storage_leveldb {

const char kConfigSchema[] = R"json({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "write_buffer_bytes": {
      "type": "integer", "minimum": 65536, "maximum": 1073741824,
      "description": "Memory table size; up to two exist at a time. Default 32 MiB."
    },
    "block_cache_bytes": {
      "type": "integer", "minimum": 65536, "maximum": 68719476736,
      "description": "Cache of table blocks. Default 8 MiB for the log, 64 MiB for the state."
    },
    "max_file_bytes": {
      "type": "integer", "minimum": 1048576, "maximum": 1073741824,
      "description": "Size of one table file. Default 32 MiB."
    },
    "block_bytes": {
      "type": "integer", "minimum": 1024, "maximum": 1048576,
      "description": "Size of one table block before compression. Default 4096."
    },
    "open_files_max": {
      "type": "integer", "minimum": 64, "maximum": 50000,
      "description": "Table files held open. Default 1000."
    },
    "bloom_bits": {
      "type": "integer", "minimum": 0, "maximum": 32,
      "description": "Bloom filter bits per key, 0 for none. Default 0 for the log, 10 for the state."
    },
    "compression": {
      "enum": ["none", "snappy"],
      "description": "Compression of table blocks. Default none for the log, snappy for the state."
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
  out.write_buffer_bytes = in.unsigned_integer("write_buffer_bytes", 32 * kMiB, 64 * kKiB, kGiB);
  out.block_cache_bytes =
      in.unsigned_integer("block_cache_bytes", (state ? 64 : 8) * kMiB, 64 * kKiB, 64 * kGiB);
  out.max_file_bytes = in.unsigned_integer("max_file_bytes", 32 * kMiB, kMiB, kGiB);
  out.block_bytes = in.unsigned_integer("block_bytes", 4 * kKiB, kKiB, kMiB);
  out.open_files_max = in.unsigned_integer("open_files_max", 1000, 64, 50000);
  out.bloom_bits = in.unsigned_integer("bloom_bits", state ? 10 : 0, 0, 32);
  const std::string compression = in.string("compression", state ? "snappy" : "none");
  in.reject_unknown();
  if (compression != "none" && compression != "snappy") {
    throw sdk::Error(KVS_E_INVALID, "/compression: must be none or snappy, is " + compression);
  }
  out.compression = compression == "snappy";
  return out;
}

}  // namespace kvstore::storage_leveldb
