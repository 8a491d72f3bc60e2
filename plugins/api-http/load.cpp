#include "load.hpp"

namespace kvstore::http {

Load::Load(const sdk::Host& host, const std::string& name, const char* help,
           std::string_view instance_name, const std::string& more_labels, uint64_t limit)
    : metrics_(host.metrics()) {
  if (metrics_ == nullptr) return;
  const std::string labels = "api=\"" + label_value(instance_name) + "\"" + more_labels;
  metrics_->series(metrics_->ctx, KVS_METRIC_GAUGE, name.c_str(), help, labels.c_str(), &handle_);
  uint64_t limit_handle = 0;
  metrics_->series(metrics_->ctx, KVS_METRIC_GAUGE, (name + "_limit").c_str(),
                   "How many there may be; beyond it 429 or 503.", labels.c_str(), &limit_handle);
  metrics_->set(metrics_->ctx, limit_handle, static_cast<double>(limit));
}

void Load::add(double change) {
  if (metrics_ != nullptr) metrics_->add(metrics_->ctx, handle_, change);
}

void Load::set(uint64_t taken) {
  if (metrics_ != nullptr) metrics_->set(metrics_->ctx, handle_, static_cast<double>(taken));
}

std::string label_value(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.append(c == '\n' ? "\\n" : std::string_view(&c, 1));
  }
  return out;
}

}  // namespace kvstore::http
