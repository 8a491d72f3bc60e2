#include "plugin_file.hpp"

#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>

#include "node.hpp"

namespace kvstore::conformance {

namespace {

[[noreturn]] void die(const char* what, const char* why) {
  std::fprintf(stderr, "%s: %s\n", what, why);
  std::exit(2);
}

// The library is never unloaded, as in production.
const kvs_plugin_manifest* load() {
  const char* path = std::getenv("KVS_TRANSPORT_PLUGIN");
  if (path == nullptr) die("KVS_TRANSPORT_PLUGIN", "is not set");
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) die(path, dlerror());
  auto entry = reinterpret_cast<kvs_plugin_entry_fn>(dlsym(library, KVS_PLUGIN_ENTRY_NAME));
  if (entry == nullptr) die(path, "has no entry function");
  const kvs_plugin_manifest* m = entry();
  kvs_error err{};
  err.struct_size = sizeof err;
  if (m->load(test_host(), &err) != KVS_OK) die(path, err.message);
  return m;
}

}  // namespace

const kvs_plugin_manifest& manifest() {
  static const kvs_plugin_manifest* m = load();
  return *m;
}

const kvs_transport_api& api() {
  static const auto* table =
      static_cast<const kvs_transport_api*>(manifest().get_interface(KVS_TRANSPORT_ID));
  if (table == nullptr) die(KVS_TRANSPORT_ID, "is not offered by the plugin");
  return *table;
}

}  // namespace kvstore::conformance
