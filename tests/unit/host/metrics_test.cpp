// Goal: what is counted through the ABI's table appears in the exposition, and misuse is refused.
// Method: the C table is called as a plugin would; the text is searched.
#include "host/metrics.hpp"

#include <string>

#include <doctest/doctest.h>

#include "host/process_metrics.hpp"

using namespace kvstore;

namespace {

struct Fixture {
  host::Metrics metrics;
  const kvs_metrics* t = metrics.table();

  uint64_t series(uint32_t kind, const char* name, const char* labels) {
    uint64_t handle = 0;
    REQUIRE(t->series(t->ctx, kind, name, "Help.", labels, &handle) == KVS_OK);
    return handle;
  }
  kvs_status make(uint32_t kind, const char* name, const char* labels) {
    uint64_t handle = 1;
    kvs_status status = t->series(t->ctx, kind, name, "Help.", labels, &handle);
    if (status != KVS_OK) CHECK(handle == 0);
    return status;
  }
  bool shows(const std::string& line) {
    std::string text = metrics.expose();
    INFO(text);
    return text.find(line + '\n') != text.npos;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "counters, gauges and histograms are exposed") {
  uint64_t counter = series(KVS_METRIC_COUNTER, "kvstore_things_total", R"(a="1",b="x\"y")");
  t->add(t->ctx, counter, 2);
  t->add(t->ctx, counter, -5);  // a counter only grows
  t->set(t->ctx, counter, 9);   // and is not set
  CHECK(shows(R"(kvstore_things_total{a="1",b="x\"y"} 2)"));

  uint64_t gauge = series(KVS_METRIC_GAUGE, "kvstore_level", nullptr);
  t->set(t->ctx, gauge, 5);
  t->add(t->ctx, gauge, -2);
  CHECK(shows("kvstore_level 3"));

  uint64_t seconds = series(KVS_METRIC_HISTOGRAM, "kvstore_wait_seconds", "");
  t->observe(t->ctx, seconds, 0.0002);
  CHECK(shows(R"(kvstore_wait_seconds_bucket{le="0.0001"} 0)"));
  CHECK(shows(R"(kvstore_wait_seconds_bucket{le="0.00025"} 1)"));
  CHECK(shows("kvstore_wait_seconds_count 1"));
  uint64_t sizes = series(KVS_METRIC_HISTOGRAM, "kvstore_batch_bytes", "");
  t->observe(t->ctx, sizes, 1000);
  CHECK(shows(R"(kvstore_batch_bytes_bucket{le="1024"} 1)"));
}

TEST_CASE_FIXTURE(Fixture, "the same name and labels are the same series") {
  uint64_t one = series(KVS_METRIC_COUNTER, "kvstore_x_total", R"(a="1")");
  CHECK(series(KVS_METRIC_COUNTER, "kvstore_x_total", R"(a="1")") == one);
  CHECK(series(KVS_METRIC_COUNTER, "kvstore_x_total", R"(a="2")") != one);
}

TEST_CASE_FIXTURE(Fixture, "misuse is refused") {
  CHECK(make(9, "kvstore_x", "") == KVS_E_INVALID);
  CHECK(make(KVS_METRIC_GAUGE, "bad name", "") == KVS_E_INVALID);
  CHECK(make(KVS_METRIC_GAUGE, nullptr, "") == KVS_E_INVALID);
  CHECK(make(KVS_METRIC_GAUGE, "kvstore_x", "a=1") == KVS_E_INVALID);
  CHECK(make(KVS_METRIC_GAUGE, "kvstore_x", R"(a="1)") == KVS_E_INVALID);
  CHECK(make(KVS_METRIC_GAUGE, "kvstore_x", R"(a="1",)") == KVS_E_INVALID);
  CHECK(make(KVS_METRIC_GAUGE, "kvstore_x", R"(a="1",a="2")") == KVS_E_INVALID);
  CHECK(make(KVS_METRIC_GAUGE, "kvstore_x", R"(bad-name="1")") == KVS_E_INVALID);
  REQUIRE(make(KVS_METRIC_GAUGE, "kvstore_y", "") == KVS_OK);
  CHECK(make(KVS_METRIC_COUNTER, "kvstore_y", "") == KVS_E_INVALID);
  t->add(t->ctx, 0, 1);  // the handle of a series that could not be made
}

TEST_CASE_FIXTURE(Fixture, "figures of the process") {
  CHECK(metrics.expose().find("\nprocess_resident_memory_bytes ") != std::string::npos);
  host::ProcessFigures f = host::read_process_figures();
  CHECK(f.resident_bytes > 100'000);
  CHECK(f.virtual_bytes >= f.resident_bytes);
  CHECK(f.threads >= 1);
  CHECK(f.open_fds >= 3);
  CHECK(f.max_fds >= f.open_fds);
  CHECK(f.start_time_seconds > 1.6e9);
}
