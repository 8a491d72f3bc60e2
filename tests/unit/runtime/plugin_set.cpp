#include "plugin_set.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <kvstore/abi/plugin.h>

#include <dlfcn.h>

#include "node/runtime/clock.hpp"

namespace kvstore::test {
namespace {

[[noreturn]] void die(const char* what, const char* why) {
  std::fprintf(stderr, "%s: %s\n", what, why);
  std::exit(2);
}

const kvs_plugin_manifest* load(const char* variable) {
  const char* path = std::getenv(variable);
  if (path == nullptr) die(variable, "is not set");
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) die(path, dlerror());
  auto entry = reinterpret_cast<kvs_plugin_entry_fn>(dlsym(library, KVS_PLUGIN_ENTRY_NAME));
  if (entry == nullptr) die(path, "has no entry function");
  kvs_error err{};
  err.struct_size = sizeof err;
  if (entry()->load(runtime_host(), &err) != KVS_OK) die(path, err.message);
  return entry();
}

template <typename Api>
const Api* interface_of(const kvs_plugin_manifest* manifest, const char* id) {
  const void* table = manifest->get_interface(id);
  if (table == nullptr) die(id, "is not offered");
  return static_cast<const Api*>(table);
}

}  // namespace

const kvs_host* runtime_host() {
  static const kvs_host host = [] {
    kvs_host h{};
    h.struct_size = sizeof h;
    h.abi_major = KVS_ABI_MAJOR;
    h.abi_minor = KVS_ABI_MINOR;
    h.name = "runtime_test";
    h.version = "0";
    h.log = [](const kvs_host*, int32_t level, const char*, uint32_t, const char* msg,
               size_t len) noexcept {
      if (level >= KVS_LEVEL_PLUGIN_BUG) die("plugin bug", std::string(msg, len).c_str());
    };
    h.log_enabled = [](const kvs_host*, int32_t) noexcept -> int32_t { return 1; };
    h.now_ns = [](const kvs_host*) noexcept { return node::runtime::boot_time_ns(); };
    h.random_u64 = [](const kvs_host*) noexcept -> uint64_t {
      static std::atomic<uint64_t> state{1};
      return state.fetch_add(0x9e3779b97f4a7c15u);
    };
    h.fatal = [](const kvs_host*, kvs_status, const char* msg) noexcept { die("fatal", msg); };
    h.get_extension = [](const kvs_host*, const char*) noexcept -> const void* { return nullptr; };
    return h;
  }();
  return &host;
}

const PluginSet& plugins() {
  static const PluginSet set = [] {
    const kvs_plugin_manifest* storage = load("KVS_STORAGE_PLUGIN");
    const kvs_plugin_manifest* transport = load("KVS_TRANSPORT_PLUGIN");
    return PluginSet{interface_of<kvs_log_api>(storage, KVS_LOG_ID),
                     interface_of<kvs_state_api>(storage, KVS_STATE_ID),
                     interface_of<kvs_transport_api>(transport, KVS_TRANSPORT_ID)};
  }();
  return set;
}

}  // namespace kvstore::test
