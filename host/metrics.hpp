// The node's metrics: a prometheus-cpp registry behind the ABI's kvs_metrics table.
#pragma once

#include <memory>
#include <string>

#include <kvstore/abi/host.h>

namespace kvstore::host {

// Holds every series of the process: those that plugins and the core make through table(), and
// figures of the process itself (memory, CPU, file descriptors, threads, start time).
//
// Lifecycle: outlives every user of table().  Concurrency: [any-thread].
class Metrics {
 public:
  Metrics();
  ~Metrics();

  // The extension "kvstore.host.metrics/1".
  const kvs_metrics* table() const;
  // Everything in the Prometheus text format.
  std::string expose() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvstore::host
