// The host's services as a C++ object.
#pragma once

#include <cstdint>
#include <string_view>

#include <kvstore/abi/host.h>

namespace kvstore::sdk {

// A thin, copyable face of kvs_host.  [any-thread]
class Host {
 public:
  explicit Host(const kvs_host* host) : host_(host) {}

  void log(int32_t level, std::string_view line) const noexcept {
    if (host_->log_enabled(host_, level) != 0) {
      host_->log(host_, level, nullptr, 0, line.data(), line.size());
    }
  }
  bool enabled(int32_t level) const noexcept { return host_->log_enabled(host_, level) != 0; }
  uint64_t now_ns() const noexcept { return host_->now_ns(host_); }
  uint64_t random_u64() const noexcept { return host_->random_u64(host_); }
  // NULL when the host does not offer metrics.
  const kvs_metrics* metrics() const noexcept {
    return static_cast<const kvs_metrics*>(host_->get_extension(host_, "kvstore.host.metrics/1"));
  }
  const kvs_host* raw() const noexcept { return host_; }

 private:
  const kvs_host* host_;
};

}  // namespace kvstore::sdk
