#include "host/metrics.hpp"

#include <exception>
#include <map>
#include <mutex>
#include <string_view>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "host/process_metrics.hpp"

namespace kvstore::host {
namespace {

using prometheus::Histogram;
using prometheus::Labels;

// One series; a handle is its address.
struct Series {
  uint32_t kind = 0;
  prometheus::Counter* counter = nullptr;
  prometheus::Gauge* gauge = nullptr;
  prometheus::Histogram* histogram = nullptr;
};

struct Family {
  uint32_t kind = 0;
  prometheus::Family<prometheus::Counter>* counters = nullptr;
  prometheus::Family<prometheus::Gauge>* gauges = nullptr;
  prometheus::Family<prometheus::Histogram>* histograms = nullptr;
  std::map<std::string, std::unique_ptr<Series>> series;  // by labels as given
};

// Plugin calls take from microseconds (a memory copy) to seconds (a dying disk).
Histogram::BucketBoundaries buckets_for(std::string_view name) {
  if (name.ends_with("_seconds")) {
    return {1e-5,   2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2,
            2.5e-2, 5e-2,   0.1,  0.25, 0.5,    1,    2.5,  5,      10};
  }
  Histogram::BucketBoundaries powers;
  if (name.ends_with("_bytes")) {
    for (double b = 64; b <= 64.0 * 1024 * 1024; b *= 4) powers.push_back(b);
  } else {
    for (double b = 1; b <= 65536; b *= 2) powers.push_back(b);
  }
  return powers;
}

// name="value",other="value" with the escapes of the exposition format; false when malformed.
bool parse_labels(std::string_view text, Labels* out) {
  size_t i = 0;
  while (i < text.size()) {
    size_t equals = text.find('=', i);
    if (equals == text.npos || equals + 1 >= text.size() || text[equals + 1] != '"') return false;
    std::string name(text.substr(i, equals - i));
    std::string value;
    for (i = equals + 2; i < text.size() && text[i] != '"'; ++i) {
      if (text[i] == '\\') {
        if (++i == text.size()) return false;
        value += text[i] == 'n' ? '\n' : text[i];
      } else {
        value += text[i];
      }
    }
    if (i == text.size() || !out->emplace(std::move(name), std::move(value)).second) return false;
    ++i;
    if (i == text.size()) return true;
    if (text[i++] != ',' || i == text.size()) return false;
  }
  return true;
}

Series& series_of(uint64_t handle) {
  return *reinterpret_cast<Series*>(handle);
}

void add(void*, uint64_t handle, double v) noexcept {
  if (handle == 0) return;
  Series& s = series_of(handle);
  if (s.counter != nullptr && v >= 0) s.counter->Increment(v);
  if (s.gauge != nullptr) s.gauge->Increment(v);
}

void set(void*, uint64_t handle, double v) noexcept {
  if (handle != 0 && series_of(handle).gauge != nullptr) series_of(handle).gauge->Set(v);
}

void observe(void*, uint64_t handle, double v) noexcept {
  if (handle != 0 && series_of(handle).histogram != nullptr)
    series_of(handle).histogram->Observe(v);
}

// Reads /proc whenever the metrics are asked for.
class ProcessCollector : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    const ProcessFigures f = read_process_figures();
    std::vector<prometheus::MetricFamily> all;
    auto put = [&all](const char* name, const char* help, prometheus::MetricType type,
                      double value) {
      prometheus::ClientMetric metric;
      if (type == prometheus::MetricType::Counter) {
        metric.counter.value = value;
      } else {
        metric.gauge.value = value;
      }
      all.push_back({name, help, type, {metric}});
    };
    constexpr auto kGauge = prometheus::MetricType::Gauge;
    put("process_cpu_seconds_total", "User and system CPU time.", prometheus::MetricType::Counter,
        f.cpu_seconds);
    put("process_start_time_seconds", "Start of the process since the epoch.", kGauge,
        f.start_time_seconds);
    put("process_resident_memory_bytes", "Resident memory.", kGauge,
        static_cast<double>(f.resident_bytes));
    put("process_virtual_memory_bytes", "Virtual memory.", kGauge,
        static_cast<double>(f.virtual_bytes));
    put("process_threads", "Threads.", kGauge, static_cast<double>(f.threads));
    put("process_open_fds", "Open file descriptors.", kGauge, static_cast<double>(f.open_fds));
    put("process_max_fds", "Limit of open file descriptors.", kGauge,
        static_cast<double>(f.max_fds));
    return all;
  }
};

}  // namespace

struct Metrics::Impl {
  kvs_metrics table{};
  prometheus::Registry registry;
  ProcessCollector process;
  std::mutex mutex;  // guards families
  std::map<std::string, Family> families;

  Family& family(uint32_t kind, const std::string& name, const std::string& help) {
    Family& f = families[name];
    if (f.kind != 0) return f;
    switch (kind) {
      case KVS_METRIC_COUNTER:
        f.counters = &prometheus::BuildCounter().Name(name).Help(help).Register(registry);
        break;
      case KVS_METRIC_GAUGE:
        f.gauges = &prometheus::BuildGauge().Name(name).Help(help).Register(registry);
        break;
      default:
        f.histograms = &prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
    }
    f.kind = kind;
    return f;
  }

  // nullptr for a bad name or label, or another kind.
  Series* series(uint32_t kind, const std::string& name, const std::string& help,
                 const std::string& labels_text) {
    if (kind < KVS_METRIC_COUNTER || kind > KVS_METRIC_HISTOGRAM) return nullptr;
    Labels labels;
    if (!parse_labels(labels_text, &labels)) return nullptr;
    std::lock_guard lock(mutex);
    Family& f = family(kind, name, help);
    if (f.kind != kind) return nullptr;
    std::unique_ptr<Series>& slot = f.series[labels_text];
    if (slot != nullptr) return slot.get();
    auto made = std::make_unique<Series>();
    made->kind = kind;
    if (f.counters != nullptr) made->counter = &f.counters->Add(labels);
    if (f.gauges != nullptr) made->gauge = &f.gauges->Add(labels);
    if (f.histograms != nullptr) made->histogram = &f.histograms->Add(labels, buckets_for(name));
    slot = std::move(made);
    return slot.get();
  }
};

namespace {

std::string text_of(const char* s) {
  return s == nullptr ? "" : s;
}

}  // namespace

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  impl_->table.struct_size = sizeof impl_->table;
  impl_->table.ctx = impl_.get();
  impl_->table.series = [](void* ctx, uint32_t kind, const char* name, const char* help,
                           const char* labels, uint64_t* handle) noexcept -> kvs_status {
    *handle = 0;
    try {
      Series* made =
          static_cast<Impl*>(ctx)->series(kind, text_of(name), text_of(help), text_of(labels));
      if (made == nullptr) return KVS_E_INVALID;
      *handle = reinterpret_cast<uint64_t>(made);
      return KVS_OK;
    } catch (const std::bad_alloc&) {
      return KVS_E_NO_MEMORY;
    } catch (const std::exception&) {  // the library refuses bad names by throwing
      return KVS_E_INVALID;
    }
  };
  impl_->table.add = add;
  impl_->table.set = set;
  impl_->table.observe = observe;
}

Metrics::~Metrics() = default;

const kvs_metrics* Metrics::table() const {
  return &impl_->table;
}

std::string Metrics::expose() const {
  std::vector<prometheus::MetricFamily> all = impl_->registry.Collect();
  for (prometheus::MetricFamily& family : impl_->process.Collect())
    all.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace kvstore::host
