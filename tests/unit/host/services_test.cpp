// Goal: what plugins get from the host works: log, clock, randomness, fatal, metrics.
// Method: the C table is called as a plugin would; lines are caught by a sink.
#include "host/services.hpp"

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/log.hpp"
#include "host/metrics.hpp"

using namespace kvstore;

namespace {

struct CatchingSink : LogSink {
  bool enabled(LogLevel level, const char*) override { return level >= LogLevel::kInfo; }
  void write(LogLevel level, const char* module, const std::string& line) override {
    lines.push_back(std::to_string(static_cast<int>(level)) + ' ' + module + ": " + line);
  }
  std::vector<std::string> lines;
};

struct SinkScope {
  explicit SinkScope(LogSink* sink) { set_log_sink(sink); }
  ~SinkScope() { set_log_sink(nullptr); }
};

}  // namespace

TEST_CASE("log lines carry the instance's name; broken promises are errors") {
  CatchingSink sink;
  SinkScope scope(&sink);
  host::Services services("0.1.0", nullptr, nullptr);
  const kvs_host* h = services.make("storage-x");
  CHECK(h->log_enabled(h, KVS_LEVEL_DEBUG) == 0);
  CHECK(h->log_enabled(h, KVS_LEVEL_WARN) == 1);
  CHECK(h->log_enabled(h, KVS_LEVEL_PLUGIN_BUG) == 1);
  h->log(h, KVS_LEVEL_DEBUG, nullptr, 0, "unseen", 6);
  h->log(h, KVS_LEVEL_INFO, "file", 1, "helloXXX", 5);
  h->log(h, KVS_LEVEL_PLUGIN_BUG, nullptr, 0, "lied", 4);
  CHECK(sink.lines ==
        std::vector<std::string>{"2 storage-x: hello", "4 storage-x: PLUGIN_BUG: lied"});
}

TEST_CASE("a fatal plugin is reported with its instance; unknown codes become internal") {
  std::vector<std::string> seen;
  host::Services services(
      "0.1.0", nullptr, [&](const std::string& instance, Code why, const std::string& message) {
        seen.push_back(instance + ' ' + std::string(code_name(why)) + ' ' + message);
      });
  const kvs_host* a = services.make("a");
  const kvs_host* b = services.make("b");
  a->fatal(a, KVS_E_CORRUPT, "bad page");
  b->fatal(b, 12345, nullptr);
  CHECK(seen == std::vector<std::string>{"a corrupt bad page", "b internal "});
}

TEST_CASE("clock, randomness, version and extensions") {
  host::Metrics metrics;
  host::Services services("0.1.0", &metrics, nullptr);
  const kvs_host* h = services.make("x");
  CHECK(h->struct_size == sizeof(kvs_host));
  CHECK(std::strcmp(h->version, "0.1.0") == 0);
  uint64_t first = h->now_ns(h);
  CHECK(h->now_ns(h) >= first);
  std::set<uint64_t> drawn;
  for (int i = 0; i < 100; ++i) drawn.insert(h->random_u64(h));
  CHECK(drawn.size() == 100);
  CHECK(h->get_extension(h, "kvstore.host.metrics/1") == metrics.table());
  CHECK(h->get_extension(h, "kvstore.host.metrics/10") == nullptr);
  CHECK(h->get_extension(h, nullptr) == nullptr);
}
