#include "host/services.hpp"

#include <cstring>
#include <ctime>
#include <random>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "host/metrics.hpp"

namespace kvstore::host {
namespace {

// What goes wrong between host and plugin is an error under any setting.
LogLevel level_of(int32_t level) {
  if (level >= KVS_LEVEL_ERROR) return LogLevel::kError;
  if (level < KVS_LEVEL_TRACE) return LogLevel::kTrace;
  return static_cast<LogLevel>(level);
}

static_assert(int32_t(LogLevel::kTrace) == KVS_LEVEL_TRACE &&
              int32_t(LogLevel::kDebug) == KVS_LEVEL_DEBUG &&
              int32_t(LogLevel::kInfo) == KVS_LEVEL_INFO &&
              int32_t(LogLevel::kWarn) == KVS_LEVEL_WARN &&
              int32_t(LogLevel::kError) == KVS_LEVEL_ERROR);

}  // namespace

struct Services::Instance {
  kvs_host host{};
  Services* owner = nullptr;
  std::string name;
};

namespace {

uint64_t now_ns(const kvs_host*) noexcept {
  return boottime_ns();
}

uint64_t random_u64(const kvs_host*) noexcept {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return generator();
}

}  // namespace

uint64_t boottime_ns() {
  timespec now{};
  int got = clock_gettime(CLOCK_BOOTTIME, &now);
  KVS_ASSERT(got == 0);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

Services::Services(std::string version, Metrics* metrics, FatalFn fatal)
    : version_(std::move(version)), metrics_(metrics), fatal_(std::move(fatal)) {}

Services::~Services() = default;

const kvs_host* Services::make(const std::string& instance) {
  auto made = std::make_unique<Instance>();
  made->owner = this;
  made->name = instance;
  kvs_host& h = made->host;
  h.struct_size = sizeof h;
  h.abi_major = KVS_ABI_MAJOR;
  h.abi_minor = KVS_ABI_MINOR;
  h.ctx = made.get();
  h.name = "kvstore-server";
  h.version = version_.c_str();
  h.log = [](const kvs_host* host, int32_t level, const char*, uint32_t, const char* msg,
             size_t len) noexcept {
    const auto& self = *static_cast<const Instance*>(host->ctx);
    std::string line;
    if (level == KVS_LEVEL_PLUGIN_BUG) line = "PLUGIN_BUG: ";
    if (level == KVS_LEVEL_HOST_BUG) line = "HOST_BUG: ";
    line.append(msg, len);
    if (log_enabled(level_of(level), self.name.c_str())) {
      log_write(level_of(level), self.name.c_str(), line);
    }
  };
  h.log_enabled = [](const kvs_host* host, int32_t level) noexcept -> int32_t {
    const auto& self = *static_cast<const Instance*>(host->ctx);
    return log_enabled(level_of(level), self.name.c_str()) ? 1 : 0;
  };
  h.now_ns = now_ns;
  h.random_u64 = random_u64;
  h.fatal = [](const kvs_host* host, kvs_status why, const char* msg) noexcept {
    const auto& self = *static_cast<const Instance*>(host->ctx);
    std::string message = msg == nullptr ? "" : msg;
    KVS_LOG(kError, self.name.c_str(), "cannot be trusted any more: {}", message);
    Code code = static_cast<Code>(why);
    if (code_name(code) == "unknown" || code == Code::kOk) code = Code::kInternal;
    if (self.owner->fatal_) self.owner->fatal_(self.name, code, message);
  };
  h.get_extension = [](const kvs_host* host, const char* id) noexcept -> const void* {
    const auto& self = *static_cast<const Instance*>(host->ctx);
    bool wanted = id != nullptr && std::strcmp(id, "kvstore.host.metrics/1") == 0;
    return wanted && self.owner->metrics_ != nullptr ? self.owner->metrics_->table() : nullptr;
  };
  std::lock_guard lock(mutex_);
  instances_.push_back(std::move(made));
  return &instances_.back()->host;
}

}  // namespace kvstore::host
