// A kvs_host for tests: collects log lines and metrics, its clock is advanced by hand.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <kvstore/abi/host.h>

namespace kvstore::test {

class FakeHost {
 public:
  FakeHost() {
    host_.struct_size = sizeof host_;
    host_.ctx = this;
    host_.name = "test";
    host_.version = "0";
    host_.log = [](const kvs_host* h, int32_t level, const char*, uint32_t, const char* msg,
                   size_t len) noexcept {
      FakeHost& self = *static_cast<FakeHost*>(h->ctx);
      std::lock_guard lock(self.mutex_);
      if (level == KVS_LEVEL_PLUGIN_BUG) self.bugs_.emplace_back(msg, len);
    };
    host_.log_enabled = [](const kvs_host*, int32_t) noexcept -> int32_t { return 1; };
    host_.now_ns = [](const kvs_host* h) noexcept {
      FakeHost& self = *static_cast<FakeHost*>(h->ctx);
      std::lock_guard lock(self.mutex_);
      return self.now_ns_ += self.step_ns_;
    };
    host_.random_u64 = [](const kvs_host*) noexcept -> uint64_t { return 4; };
    host_.fatal = [](const kvs_host*, kvs_status, const char*) noexcept {};
    host_.get_extension = [](const kvs_host* h, const char* id) noexcept -> const void* {
      FakeHost& self = *static_cast<FakeHost*>(h->ctx);
      bool metrics = std::string(id) == "kvstore.host.metrics/1" && self.with_metrics;
      return metrics ? &self.metrics_ : nullptr;
    };
    make_metrics();
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  const kvs_host* raw() const { return &host_; }
  void step_ns(uint64_t step) { step_ns_ = step; }

  // Reports at PLUGIN_BUG so far, joined by newlines; forgets them.
  std::string take_bugs() {
    std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& bug : bugs_) all += bug + '\n';
    bugs_.clear();
    return all;
  }

  // Values seen by "name{labels}".
  std::vector<double> observed(const std::string& series) {
    std::lock_guard lock(mutex_);
    auto it = handles_.find(series);
    return it == handles_.end() ? std::vector<double>() : values_[it->second];
  }

  bool with_metrics = false;

 private:
  void make_metrics() {
    metrics_.struct_size = sizeof metrics_;
    metrics_.ctx = this;
    metrics_.series = [](void* ctx, uint32_t, const char* name, const char*, const char* labels,
                         uint64_t* handle) noexcept -> kvs_status {
      FakeHost& self = *static_cast<FakeHost*>(ctx);
      std::lock_guard lock(self.mutex_);
      auto [it, fresh] =
          self.handles_.try_emplace(std::string(name) + '{' + labels + '}', self.values_.size());
      if (fresh) self.values_.emplace_back();
      *handle = it->second;
      return KVS_OK;
    };
    auto keep = [](void* ctx, uint64_t handle, double v) noexcept {
      FakeHost& self = *static_cast<FakeHost*>(ctx);
      std::lock_guard lock(self.mutex_);
      self.values_[handle].push_back(v);
    };
    metrics_.add = metrics_.set = metrics_.observe = keep;
  }

  std::mutex mutex_;
  kvs_host host_{};
  kvs_metrics metrics_{};
  uint64_t now_ns_ = 0;
  uint64_t step_ns_ = 0;
  std::vector<std::string> bugs_;
  std::map<std::string, uint64_t> handles_;
  std::vector<std::vector<double>> values_;
};

}  // namespace kvstore::test
