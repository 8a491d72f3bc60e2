// A plugin that is wrong in the one way that KVS_BAD says; 0: right.  Built many times by
// CMakeLists.txt.
#include <cstring>

#include <kvstore/abi/log.h>
#include <kvstore/abi/plugin.h>

#if KVS_BAD != KVS_BAD_ENTRY

namespace {

kvs_status open_log(const kvs_host*, const kvs_storage_options*, kvs_log**, kvs_error*) noexcept {
  return KVS_E_UNSUPPORTED;
}
void close_log(kvs_log*) noexcept {}
const void* extension(kvs_log*, const char*) noexcept {
  return nullptr;
}
kvs_status write(kvs_log*, const kvs_log_write*, kvs_error*) noexcept {
  return KVS_E_IO;
}
kvs_status compact(kvs_log*, const kvs_log_id*, kvs_error*) noexcept {
  return KVS_E_IO;
}
kvs_status reset(kvs_log*, const kvs_log_id*, kvs_error*) noexcept {
  return KVS_E_IO;
}
kvs_status state(kvs_log*, kvs_log_state*, kvs_error*) noexcept {
  return KVS_E_IO;
}
kvs_status read(kvs_log*, uint64_t, uint64_t, uint64_t, kvs_entry_sink, void*,
                kvs_error*) noexcept {
  return KVS_E_IO;
}
kvs_status term(kvs_log*, uint64_t, uint64_t*, kvs_error*) noexcept {
  return KVS_E_IO;
}
kvs_status stats(kvs_log*, kvs_slice_sink, void*) noexcept {
  return KVS_E_IO;
}

const kvs_log_api kLog = {KVS_BAD == KVS_BAD_SMALL_TABLE ? 40u : uint32_t{sizeof(kvs_log_api)},
                          0,
                          open_log,
                          close_log,
                          extension,
                          write,
                          compact,
                          KVS_BAD == KVS_BAD_NULL_FUNCTION ? nullptr : reset,
                          state,
                          read,
                          term,
                          stats};

kvs_status load(const kvs_host*, kvs_error* err) noexcept {
  if (KVS_BAD != KVS_BAD_LOAD) return KVS_OK;
  std::strcpy(err->message, "the licence of the backend has expired");
  return KVS_E_UNSUPPORTED;
}
void unload() noexcept {}
const void* get_interface(const char* id) noexcept {
  bool mine = KVS_BAD != KVS_BAD_NULL_INTERFACE && std::strcmp(id, KVS_LOG_ID) == 0;
  return mine ? &kLog : nullptr;
}

const kvs_interface_ref kInterfaces[] = {
    {KVS_BAD == KVS_BAD_INTERFACE ? "kvstore.other/1" : KVS_LOG_ID, 7,
     KVS_BAD == KVS_BAD_MIN_MINOR ? 7u : 0u}};

constexpr const char* kSchema = R"({"type": "object", "additionalProperties": false,
  "properties": {"cache_bytes": {"type": "integer", "minimum": 1, "maximum": 100}}})";

const kvs_plugin_manifest kManifest = {
    KVS_BAD == KVS_BAD_SMALL_MANIFEST ? 16u : uint32_t{sizeof(kvs_plugin_manifest)},
    KVS_BAD == KVS_BAD_MAGIC ? 1u : KVS_PLUGIN_MAGIC,
    KVS_BAD == KVS_BAD_MAJOR ? uint16_t{9} : uint16_t{KVS_ABI_MAJOR},
    KVS_BAD == KVS_BAD_MINOR ? uint16_t{99} : uint16_t{KVS_ABI_MINOR},
    KVS_BAD == KVS_BAD_POINTERS ? uint8_t{32} : uint8_t{64},
    KVS_BAD == KVS_BAD_ENDIAN ? uint8_t{0} : uint8_t{1},
    0,
    0,
    KVS_BAD == KVS_BAD_NO_ID ? nullptr : "test.plugin",
    "1.2.3",
    "for tests",
    "some compiler",
    KVS_BAD == KVS_BAD_SCHEMA ? "{ nonsense" : kSchema,
    kInterfaces,
    KVS_BAD == KVS_BAD_NO_INTERFACES ? 0u : 1u,
    0,
    KVS_BAD == KVS_BAD_NO_LOAD ? nullptr : load,
    unload,
    get_interface};

}  // namespace

extern "C" KVS_EXPORT const kvs_plugin_manifest* kvs_plugin_entry(void) noexcept {
  return KVS_BAD == KVS_BAD_NULL_MANIFEST ? nullptr : &kManifest;
}

#endif
