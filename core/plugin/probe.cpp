#include "plugin/probe.hpp"

#include <cstring>

#include "plugin/status.hpp"

namespace kvstore::plugin {

const kvs_metrics* host_metrics(const kvs_host* host) {
  return static_cast<const kvs_metrics*>(host->get_extension(host, "kvstore.host.metrics/1"));
}

Probe::Probe(const kvs_host* host, const ProxyOptions& options, const char* interface,
             std::span<const char* const> calls)
    : host_(host),
      metrics_(options.metrics ? host_metrics(host) : nullptr),
      plugin_(options.plugin),
      interface_(interface),
      calls_(calls),
      checked_(options.checked),
      seconds_(calls.size(), 0) {
  if (metrics_ == nullptr) return;
  const std::string common =
      "interface=\"" + std::string(interface) + "\",plugin=\"" + plugin_ + '"';
  for (size_t i = 0; i < calls.size(); ++i) {
    std::string labels = common + ",call=\"" + calls[i] + '"';
    kvs_status made =
        metrics_->series(metrics_->ctx, KVS_METRIC_HISTOGRAM, "kvstore_plugin_call_seconds",
                         "Duration of plugin calls.", labels.c_str(), &seconds_[i]);
    KVS_ASSERT(made == KVS_OK);
  }
  kvs_status made =
      metrics_->series(metrics_->ctx, KVS_METRIC_COUNTER, "kvstore_plugin_bugs_total",
                       "Promises of the ABI that a plugin broke.", common.c_str(), &bugs_);
  KVS_ASSERT(made == KVS_OK);
}

bool Probe::wanted(const kvs_host* host, const ProxyOptions& options) {
  return options.checked || (options.metrics && host_metrics(host) != nullptr);
}

kvs_status Probe::plugin_bug(kvs_error* err, const char* call, const std::string& what) const {
  std::string line = plugin_ + ' ' + interface_ + '.' + call + ": " + what;
  host_->log(host_, KVS_LEVEL_PLUGIN_BUG, __FILE__, __LINE__, line.data(), line.size());
  if (metrics_ != nullptr) metrics_->add(metrics_->ctx, bugs_, 1);
  return fill_error(err, Status(Code::kInternal, "broken plugin: " + line));
}

Probe::Timer::Timer(const Probe& probe, size_t call)
    : probe_(probe),
      call_(call),
      begin_ns_(probe.metrics_ != nullptr ? probe.host_->now_ns(probe.host_) : 0) {}

Probe::Timer::~Timer() {
  if (probe_.metrics_ == nullptr) return;
  uint64_t spent_ns = probe_.host_->now_ns(probe_.host_) - begin_ns_;
  probe_.metrics_->observe(probe_.metrics_->ctx, probe_.seconds_[call_],
                           static_cast<double>(spent_ns) * 1e-9);
}

bool known_status(kvs_status status) {
  return code_name(static_cast<Code>(status)) != "unknown";
}

bool poisons(kvs_status status) {
  return status <= KVS_E_NO_MEMORY && known_status(status);
}

std::string error_form(const kvs_error* err) {
  if (err == nullptr) return "";
  if (err->struct_size != sizeof *err) return "changed struct_size of the caller's error";
  if (std::memchr(err->message, '\0', sizeof err->message) == nullptr) {
    return "left an error message without its terminating NUL";
  }
  return "";
}

}  // namespace kvstore::plugin
