#include "request_metrics.hpp"

#include <algorithm>

namespace kvstore::http {
namespace {

constexpr std::string_view kNoRoute = "none";

// A label value: the instance's name comes from the config.
std::string label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.append(c == '\n' ? "\\n" : std::string_view(&c, 1));
  }
  return out;
}

}  // namespace

RequestMetrics::RequestMetrics(const sdk::Host& host, const Router& router,
                               std::string_view instance_name)
    : metrics_(host.metrics()) {
  if (metrics_ == nullptr) return;
  by_name_[kNoRoute] = make_series(kNoRoute, instance_name);
  by_route_[nullptr] = &by_name_[kNoRoute];
  for (const Route& route : router.routes()) {
    if (by_name_.find(route.name) == by_name_.end()) {
      by_name_[route.name] = make_series(route.name, instance_name);
    }
    by_route_[&route] = &by_name_[route.name];
  }
}

RequestMetrics::Series RequestMetrics::make_series(std::string_view route,
                                                   std::string_view instance_name) const {
  const std::string labels =
      "api=\"" + label(instance_name) + "\",route=\"" + std::string(route) + "\"";
  Series series;
  for (size_t i = 0; i < series.requests.size(); ++i) {
    const std::string with_code = labels + ",code=\"" + std::to_string(i + 2) + "xx\"";
    metrics_->series(metrics_->ctx, KVS_METRIC_COUNTER, "kvstore_http_requests_total",
                     "HTTP requests answered", with_code.c_str(), &series.requests[i]);
  }
  metrics_->series(metrics_->ctx, KVS_METRIC_HISTOGRAM, "kvstore_http_request_seconds",
                   "Time from a request's header to its answer", labels.c_str(), &series.seconds);
  return series;
}

void RequestMetrics::count(const Route* route, int http_status, uint64_t elapsed_ns) {
  if (metrics_ == nullptr) return;
  const auto found = by_route_.find(route);
  if (found == by_route_.end()) return;
  const Series& series = *found->second;
  const size_t code = static_cast<size_t>(std::clamp(http_status / 100, 2, 5) - 2);
  metrics_->add(metrics_->ctx, series.requests[code], 1);
  metrics_->observe(metrics_->ctx, series.seconds, static_cast<double>(elapsed_ns) * 1e-9);
}

}  // namespace kvstore::http
