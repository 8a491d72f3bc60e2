// How much of something limited is taken at the moment, for the metrics.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <kvstore/sdk/host.hpp>

namespace kvstore::http {

// The gauges NAME and NAME_limit with the label api="<instance>" and further ones.  Without the
// host's metrics extension nothing is shown.  Concurrency: [any-thread].
class Load {
 public:
  Load(const sdk::Host& host, const std::string& name, const char* help,
       std::string_view instance_name, const std::string& more_labels, uint64_t limit);

  void enter() { add(1); }
  void leave() { add(-1); }
  // For what is counted elsewhere.
  void set(uint64_t taken);

 private:
  void add(double change);

  const kvs_metrics* metrics_;
  uint64_t handle_ = 0;
};

// What stands between the quotes of a label: an instance's name comes from the config.
std::string label_value(std::string_view value);

}  // namespace kvstore::http
