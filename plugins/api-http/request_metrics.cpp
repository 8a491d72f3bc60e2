#include "request_metrics.hpp"

#include <algorithm>

#include "load.hpp"

namespace kvstore::http {
namespace {

constexpr std::string_view kNoRoute = "none";
// Codes come from this plugin and from the engine: few, but nobody promised how many.
constexpr size_t kErrorCodesMax = 100;
constexpr const char* kOtherErrors = "other";

}  // namespace

RequestMetrics::RequestMetrics(const sdk::Host& host, const Router& router,
                               std::string_view instance_name, uint64_t parked_max)
    : metrics_(host.metrics()) {
  if (metrics_ == nullptr) return;
  const std::string instance = label_value(instance_name);
  instance_ = instance;
  make_parked_series(instance, parked_max);
  make_series(kNoRoute, instance, &by_name_[kNoRoute]);
  by_route_[nullptr] = &by_name_[kNoRoute];
  for (const Route& route : router.routes()) {
    Series& series = by_name_[route.name];
    if (series.labels.empty()) make_series(route.name, instance, &series);
    by_route_[&route] = &series;
  }
}

void RequestMetrics::make_parked_series(const std::string& instance_name, uint64_t parked_max) {
  const std::string labels = "api=\"" + instance_name + "\"";
  const auto make = [&](uint32_t kind, const char* name, const char* help) {
    uint64_t handle = 0;
    metrics_->series(metrics_->ctx, kind, name, help, labels.c_str(), &handle);
    return handle;
  };
  parked_now_ = make(KVS_METRIC_GAUGE, "kvstore_http_parked_requests",
                     "Requests that wait for the engine without a thread.");
  parked_total_ = make(KVS_METRIC_COUNTER, "kvstore_http_parked_total",
                       "Times that a request gave its thread back to wait.");
  const uint64_t limit =
      make(KVS_METRIC_GAUGE, "kvstore_http_parked_requests_limit",
           "Requests that may wait without a thread; beyond it 429 for those that may wait.");
  metrics_->set(metrics_->ctx, limit, static_cast<double>(parked_max));
}

void RequestMetrics::make_series(std::string_view route, const std::string& instance_name,
                                 Series* series) const {
  series->labels = "api=\"" + instance_name + "\",route=\"" + std::string(route) + "\"";
  metrics_->series(metrics_->ctx, KVS_METRIC_HISTOGRAM, "kvstore_http_request_seconds",
                   "Time from a request's header to its answer.", series->labels.c_str(),
                   &series->seconds);
}

uint64_t RequestMetrics::requests_of(Series& series, int http_status) {
  std::atomic<uint64_t>& slot = series.requests[static_cast<size_t>(
      std::clamp(http_status, kStatusMin, kStatusMax) - kStatusMin)];
  if (const uint64_t made = slot.load(std::memory_order_acquire); made != 0) return made;
  std::lock_guard lock(mutex_);
  uint64_t handle = slot.load(std::memory_order_relaxed);
  if (handle != 0) return handle;
  const std::string labels = series.labels + ",code=\"" + std::to_string(http_status) + "\"";
  metrics_->series(metrics_->ctx, KVS_METRIC_COUNTER, "kvstore_http_requests_total",
                   "HTTP requests answered.", labels.c_str(), &handle);
  slot.store(handle, std::memory_order_release);
  return handle;
}

void RequestMetrics::parked() {
  if (metrics_ == nullptr) return;
  metrics_->add(metrics_->ctx, parked_total_, 1);
  metrics_->add(metrics_->ctx, parked_now_, 1);
}

void RequestMetrics::unparked() {
  if (metrics_ != nullptr) metrics_->add(metrics_->ctx, parked_now_, -1);
}

void RequestMetrics::count_error(const std::string& code) {
  std::lock_guard lock(mutex_);
  auto found = errors_.find(code);
  if (found == errors_.end()) {
    const std::string name = errors_.size() < kErrorCodesMax ? code : kOtherErrors;
    found = errors_.try_emplace(name, 0).first;
    if (found->second == 0) {
      const std::string labels = "api=\"" + instance_ + "\",error=\"" + label_value(name) + "\"";
      metrics_->series(metrics_->ctx, KVS_METRIC_COUNTER, "kvstore_http_errors_total",
                       "Errors answered.", labels.c_str(), &found->second);
    }
  }
  metrics_->add(metrics_->ctx, found->second, 1);
}

void RequestMetrics::count(const Route* route, int http_status, const std::string& error_code,
                           uint64_t elapsed_ns) {
  if (metrics_ == nullptr) return;
  if (!error_code.empty()) count_error(error_code);
  const auto found = by_route_.find(route);
  if (found == by_route_.end()) return;
  Series& series = *found->second;
  metrics_->add(metrics_->ctx, requests_of(series, http_status), 1);
  metrics_->observe(metrics_->ctx, series.seconds, static_cast<double>(elapsed_ns) * 1e-9);
}

}  // namespace kvstore::http
