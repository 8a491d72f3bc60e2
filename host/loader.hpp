// Finds, checks and loads plugins.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <kvstore/abi/api.h>
#include <kvstore/abi/log.h>
#include <kvstore/abi/plugin.h>
#include <kvstore/abi/state.h>
#include <kvstore/abi/transport.h>

#include "base/status.hpp"

namespace kvstore::host {

class Services;

// One loaded plugin, as reports show it.
struct PluginInfo {
  struct Interface {
    std::string id;
    uint32_t minor = 0;
    uint32_t min_minor = 0;
  };
  std::string name;  // the last part of the path without .so
  std::string path;  // absolute
  std::string id;
  std::string version;
  std::string summary;
  std::string build;
  uint16_t abi_major = 0;
  uint16_t abi_minor = 0;
  std::vector<Interface> interfaces;

  // "storage-leveldb id=kvstore.storage-leveldb version=0.1.0 ...", for logs.
  std::string to_string() const;
};

// Loads plugins and hands out their function tables.
//
// A plugin is named by what stands in the config: "storage-leveldb" is
// <plugin_dir>/storage-leveldb.so, a name with a slash is a path.  Each file is loaded once; a
// second use gets the same.  Shared objects are never closed: after unload_all() they stay mapped
// until the process ends.
//
// Lifecycle: interface functions .. close all instances .. unload_all() (or the destructor).
// Concurrency: one thread.
// Errors: one line that names the file, what is wrong and the remedy: kNotFound and kInvalid for
// the file, kIncompatible for its version, kUnsupported for a missing interface, else what load()
// returned.
class Loader {
 public:
  // `services` must outlive the loader.
  Loader(std::string plugin_dir, Services* services);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The table of an interface, complete for this host.  `options_json` is checked against the
  // plugin's config_schema; `where` names it in errors ("node1.json: /log/options").
  Result<const kvs_log_api*> log(const std::string& plugin, const std::string& options_json,
                                 const std::string& where);
  Result<const kvs_state_api*> state(const std::string& plugin, const std::string& options_json,
                                     const std::string& where);
  Result<const kvs_transport_api*> transport(const std::string& plugin,
                                             const std::string& options_json,
                                             const std::string& where);
  Result<const kvs_api_api*> api(const std::string& plugin, const std::string& options_json,
                                 const std::string& where);

  // Loads a plugin without using it.
  Result<PluginInfo> inspect(const std::string& plugin);
  // Names of the files in plugin_dir that end in .so, sorted.
  std::vector<std::string> available() const;

  // The plugins loaded so far, in order.
  std::vector<PluginInfo> loaded() const;

  // After every instance is closed: calls unload() of each, last loaded first.  Idempotent.
  void unload_all();

 private:
  struct Plugin;
  Result<Plugin*> load(const std::string& name);
  Result<const void*> interface(const std::string& name, const char* id,
                                const std::string& options_json, const std::string& where);

  const std::string plugin_dir_;
  Services* const services_;
  std::vector<std::unique_ptr<Plugin>> plugins_;
};

}  // namespace kvstore::host
