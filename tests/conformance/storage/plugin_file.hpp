// A storage plugin as the loader sees it, and the host services given to it.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include <kvstore/abi/log.h>
#include <kvstore/abi/plugin.h>
#include <kvstore/abi/state.h>

namespace kvstore::conformance {

// The host that plugins get: keeps the lines logged at WARN and above.  [any-thread]
const kvs_host* test_host();
std::vector<std::string> host_complaints();

// Never unloaded, as in production.
class PluginFile {
 public:
  // Throws Failure when the file is no plugin of this ABI.
  explicit PluginFile(const std::string& path);

  const kvs_plugin_manifest& manifest() const { return *manifest_; }
  // Null when the plugin does not offer it.
  const kvs_log_api* log() const { return log_; }
  const kvs_state_api* state() const { return state_; }

 private:
  const kvs_plugin_manifest* manifest_ = nullptr;
  const kvs_log_api* log_ = nullptr;
  const kvs_state_api* state_ = nullptr;
};

}  // namespace kvstore::conformance
