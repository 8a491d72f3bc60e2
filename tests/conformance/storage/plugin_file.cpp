#include "plugin_file.hpp"

#include <atomic>
#include <ctime>

#include <kvstore/sdk/guard.hpp>

#include <dlfcn.h>

#include "kit.hpp"

namespace kvstore::conformance {
namespace {

std::mutex complaints_mutex;
std::vector<std::string> complaints;

void host_log(const kvs_host*, int32_t level, const char*, uint32_t, const char* msg,
              size_t len) noexcept {
  if (level < KVS_LEVEL_WARN) return;
  std::lock_guard lock(complaints_mutex);
  complaints.emplace_back(msg, len);
}
int32_t host_log_enabled(const kvs_host*, int32_t level) noexcept {
  return level >= KVS_LEVEL_WARN;
}
uint64_t host_now_ns(const kvs_host*) noexcept {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}
uint64_t host_random(const kvs_host*) noexcept {
  static std::atomic<uint64_t> state{0x9E3779B97F4A7C15u};
  uint64_t z = state.fetch_add(0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
void host_fatal(const kvs_host*, kvs_status, const char* msg) noexcept {
  std::lock_guard lock(complaints_mutex);
  complaints.emplace_back(std::string("fatal: ") + msg);
}
const void* host_extension(const kvs_host*, const char*) noexcept {
  return nullptr;
}

const kvs_host kHost = {
    .struct_size = sizeof(kvs_host),
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .ctx = nullptr,
    .name = "storage-conformance",
    .version = "0",
    .log = host_log,
    .log_enabled = host_log_enabled,
    .now_ns = host_now_ns,
    .random_u64 = host_random,
    .fatal = host_fatal,
    .get_extension = host_extension,
};

}  // namespace

const kvs_host* test_host() {
  return &kHost;
}

std::vector<std::string> host_complaints() {
  std::lock_guard lock(complaints_mutex);
  return complaints;
}

PluginFile::PluginFile(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw Failure(dlerror());
  auto entry = reinterpret_cast<kvs_plugin_entry_fn>(dlsym(library, KVS_PLUGIN_ENTRY_NAME));
  if (entry == nullptr) throw Failure(path + " has no " KVS_PLUGIN_ENTRY_NAME);
  manifest_ = entry();
  KIT_CHECK(manifest_ != nullptr && manifest_->magic == KVS_PLUGIN_MAGIC);
  KIT_CHECK(manifest_->struct_size >= sizeof *manifest_);
  KIT_CHECK(manifest_->abi_major == KVS_ABI_MAJOR && manifest_->abi_minor == KVS_ABI_MINOR);
  kvs_error err = sdk::make_error();
  if (manifest_->load(&kHost, &err) != KVS_OK) throw Failure(path + ": " + err.message);
  log_ = static_cast<const kvs_log_api*>(manifest_->get_interface(KVS_LOG_ID));
  state_ = static_cast<const kvs_state_api*>(manifest_->get_interface(KVS_STATE_ID));
  KIT_CHECK(log_ != nullptr || state_ != nullptr);
}

}  // namespace kvstore::conformance
