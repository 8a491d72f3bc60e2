// Building the manifest of a plugin.
//
//   static const kvs_interface_ref kInterfaces[] = {{KVS_LOG_ID, 0, 0}};
//   static const void* get_interface(const char* id) noexcept { ... exact match, or NULL }
//   static const kvs_plugin_manifest kManifest = [] {
//     auto m = kvstore::sdk::manifest("example.log", "1.0.0", "one line", kInterfaces,
//     get_interface); m.config_schema = R"({"type": "object"})"; return m;
//   }();
//   KVS_PLUGIN_ENTRY(kManifest)
#pragma once

#include <cstddef>

#include <kvstore/abi/plugin.h>

namespace kvstore::sdk {

template <size_t N>
kvs_plugin_manifest manifest(const char* id, const char* version, const char* summary,
                             const kvs_interface_ref (&interfaces)[N],
                             const void* (*get_interface)(const char*) noexcept) noexcept {
  kvs_plugin_manifest m{};
  m.struct_size = sizeof m;
  m.magic = KVS_PLUGIN_MAGIC;
  m.abi_major = KVS_ABI_MAJOR;
  m.abi_minor = KVS_ABI_MINOR;
  m.pointer_bits = static_cast<uint8_t>(sizeof(void*) * 8);
  m.little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1 : 0;
  m.id = id;
  m.version = version;
  m.summary = summary;
  m.build = "gcc " __VERSION__;
  m.interfaces = interfaces;
  m.interface_count = static_cast<uint32_t>(N);
  m.load = [](const kvs_host*, kvs_error*) noexcept -> kvs_status { return KVS_OK; };
  m.unload = []() noexcept {};
  m.get_interface = get_interface;
  return m;
}

}  // namespace kvstore::sdk

#define KVS_PLUGIN_ENTRY(manifest_object)                                            \
  extern "C" KVS_EXPORT const kvs_plugin_manifest* kvs_plugin_entry(void) noexcept { \
    return &(manifest_object);                                                       \
  }
