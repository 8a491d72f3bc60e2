// What the faces of storage plugins are opened with.
#pragma once

#include <string>

namespace kvstore::plugin {

// Mirrors kvs_storage_options.
struct StorageOptions {
  std::string data_dir;       // exclusive to this instance
  std::string config_json{};  // the plugin's "options" object, "" or "{}" for none
  bool create = false;        // make a new instance; without it an absent one is kNotFound
  bool read_only = false;
};

// What stands between a face and its plugin.  When nothing is asked for and the host has no
// metrics, the plugin's table is called directly.
struct ProxyOptions {
  // Pre- and postconditions of every call: a broken promise of the plugin is logged as PLUGIN_BUG
  // and becomes kInternal, one of the host aborts the process.
  bool checked = false;
  // Call latencies, when the host offers "kvstore.host.metrics/1".
  bool metrics = true;
  // The label `plugin` of metrics and the name in reports, e.g. "storage-leveldb".
  std::string plugin;
};

}  // namespace kvstore::plugin
