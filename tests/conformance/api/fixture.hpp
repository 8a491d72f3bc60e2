// An API plugin under test: loaded as a host loads it, with the scripted engine behind it.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <kvstore/abi/api.h>
#include <kvstore/abi/plugin.h>
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

#include <dlfcn.h>
#include <doctest/doctest.h>

#include "fake_engine.hpp"
#include "http_client.hpp"

namespace kvstore::conformance {

// The host's services; keeps the log and the metrics.
class FakeHost {
 public:
  FakeHost() {
    host_.struct_size = sizeof host_;
    host_.abi_major = KVS_ABI_MAJOR;
    host_.abi_minor = KVS_ABI_MINOR;
    host_.ctx = this;
    host_.name = "fake-host";
    host_.version = "0";
    host_.log = [](const kvs_host* h, int32_t level, const char*, uint32_t, const char* msg,
                   size_t len) noexcept {
      auto* self = static_cast<FakeHost*>(h->ctx);
      std::lock_guard lock(self->mutex_);
      if (level >= KVS_LEVEL_PLUGIN_BUG) self->bugs_.append(msg, len).append("; ");
    };
    host_.log_enabled = [](const kvs_host*, int32_t) noexcept -> int32_t { return 1; };
    host_.now_ns = [](const kvs_host*) noexcept -> uint64_t {
      return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    };
    host_.random_u64 = [](const kvs_host*) noexcept -> uint64_t { return 4; };
    host_.fatal = [](const kvs_host*, kvs_status, const char*) noexcept { std::abort(); };
    host_.get_extension = [](const kvs_host* h, const char* id) noexcept -> const void* {
      auto* self = static_cast<FakeHost*>(h->ctx);
      return std::string_view(id) == "kvstore.host.metrics/1" ? &self->metrics_ : nullptr;
    };
    metrics_.struct_size = sizeof metrics_;
    metrics_.ctx = this;
    metrics_.series = [](void* ctx, uint32_t, const char* name, const char*, const char* labels,
                         uint64_t* handle) noexcept -> kvs_status {
      auto* self = static_cast<FakeHost*>(ctx);
      std::lock_guard lock(self->mutex_);
      self->series_.emplace_back(std::string(name) + "{" + labels + "}", 0.0);
      *handle = self->series_.size() - 1;
      return KVS_OK;
    };
    metrics_.add = [](void* ctx, uint64_t handle, double v) noexcept {
      auto* self = static_cast<FakeHost*>(ctx);
      std::lock_guard lock(self->mutex_);
      self->series_[handle].second += v;
    };
    metrics_.set = metrics_.add;
    metrics_.observe = [](void* ctx, uint64_t handle, double) noexcept {
      auto* self = static_cast<FakeHost*>(ctx);
      std::lock_guard lock(self->mutex_);
      self->series_[handle].second += 1;
    };
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  const kvs_host* raw() const { return &host_; }
  std::string bugs() const {
    std::lock_guard lock(mutex_);
    return bugs_;
  }
  double metric(const std::string& series) const {
    std::lock_guard lock(mutex_);
    for (const auto& [name, value] : series_) {
      if (name == series) return value;
    }
    return -1;
  }

 private:
  kvs_host host_{};
  kvs_metrics metrics_{};
  mutable std::mutex mutex_;
  std::string bugs_;
  std::vector<std::pair<std::string, double>> series_;
};

// The plugin's table; the file is loaded once and never unloaded.
inline const kvs_plugin_manifest& manifest_under_test() {
  static const kvs_plugin_manifest* manifest = [] {
    const char* path = std::getenv("KVS_API_PLUGIN");
    REQUIRE_MESSAGE(path != nullptr, "KVS_API_PLUGIN must name the plugin's file");
    void* handle = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    REQUIRE_MESSAGE(handle != nullptr, ::dlerror());
    auto entry = reinterpret_cast<kvs_plugin_entry_fn>(::dlsym(handle, KVS_PLUGIN_ENTRY_NAME));
    REQUIRE(static_cast<bool>(entry));
    return entry();
  }();
  return *manifest;
}

inline const kvs_api_api& api_under_test() {
  const auto* table =
      static_cast<const kvs_api_api*>(manifest_under_test().get_interface(KVS_API_ID));
  REQUIRE(table != nullptr);
  return *table;
}

// A started plugin on a free port of loopback.
class ApiFixture {
 public:
  explicit ApiFixture(const std::string& config = "{}", bool start_now = true) {
    const std::string listen = "127.0.0.1:0", name = "http-test";
    kvs_api_options options{};
    options.struct_size = sizeof options;
    options.name = sdk::slice(name);
    options.listen_address = sdk::slice(listen);
    options.config_json = sdk::slice(config);
    options.engine = engine.table();
    kvs_error err = sdk::make_error();
    REQUIRE_MESSAGE(api().open(host.raw(), &options, &api_, &err) == KVS_OK, err.message);
    if (start_now) start();
  }
  ~ApiFixture() {
    stop();
    api().close(api_);
    CHECK(engine.open_readers() == 0);
    CHECK(engine.open_uploads() == 0);
    CHECK(engine.open_blobs() == 0);
    CHECK(engine.watches.open() == 0);
    CHECK(engine.violations() == "");
    CHECK(host.bugs() == "");
  }
  ApiFixture(const ApiFixture&) = delete;
  ApiFixture& operator=(const ApiFixture&) = delete;

  static const kvs_api_api& api() { return api_under_test(); }

  void start() {
    kvs_error err = sdk::make_error();
    REQUIRE_MESSAGE(api().start(api_, &err) == KVS_OK, err.message);
    started_ = true;
    port = port_of(bound_address());
  }
  // As a host does it: drain the engine, then stop.
  void stop() {
    if (started_) engine.drain();
    stop_undrained();
  }
  void stop_undrained() {
    if (!started_) return;
    started_ = false;
    api().stop(api_);
    engine.forbid_calls();
  }
  kvs_status try_bound_address(std::string* address) const {
    return api().bound_address(api_, sdk::append_to_string, address);
  }
  std::string bound_address() const {
    std::string address;
    REQUIRE(try_bound_address(&address) == KVS_OK);
    return address;
  }
  static uint16_t port_of(const std::string& address) {
    return static_cast<uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str()));
  }

  Answer fetch(std::string_view method, std::string_view target, std::string_view body = {},
               std::string_view headers = {}) const {
    return conformance::fetch(port, method, target, body, headers);
  }

  // Waits for something that another thread brings about; fails the test after a long while.
  template <typename Condition>
  static void eventually(Condition&& condition) {
    for (int i = 0; i < 20000; ++i) {
      if (condition()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    FAIL("what the case waits for did not come about");
  }

  FakeHost host;
  FakeEngine engine;
  uint16_t port = 0;

 private:
  kvs_api* api_ = nullptr;
  bool started_ = false;
};

}  // namespace kvstore::conformance
