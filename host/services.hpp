// What the host gives to plugins: one kvs_host per plugin instance.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <kvstore/abi/host.h>

#include "base/status.hpp"

namespace kvstore::host {

class Metrics;

// Makes and owns the kvs_host tables of this process.
//
// Lifecycle: outlives every plugin.  Concurrency: [any-thread].
class Services {
 public:
  // Called when an instance says that it cannot be trusted any more, on any thread, possibly with
  // locks of the plugin held: it must only note the fact and return.
  using FatalFn =
      std::function<void(const std::string& instance, Code why, const std::string& message)>;

  // `metrics` may be null, else it must outlive this.
  Services(std::string version, Metrics* metrics, FatalFn fatal);
  ~Services();
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  // A host whose log lines appear under the module `instance` ("storage-leveldb").  Valid as long
  // as this.
  const kvs_host* make(const std::string& instance);

 private:
  struct Instance;
  const std::string version_;
  Metrics* const metrics_;
  const FatalFn fatal_;
  std::mutex mutex_;  // guards instances_
  std::vector<std::unique_ptr<Instance>> instances_;
};

// CLOCK_BOOTTIME in nanoseconds: monotonic, counting while the machine sleeps.
uint64_t boottime_ns();

}  // namespace kvstore::host
