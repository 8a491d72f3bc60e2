#include "base/log.hpp"

namespace kvstore {
namespace {
LogSink* g_sink = nullptr;
}

void set_log_sink(LogSink* sink) {
  g_sink = sink;
}

bool log_enabled(LogLevel level, const char* module) {
  return g_sink != nullptr && g_sink->enabled(level, module);
}

void log_write(LogLevel level, const char* module, const std::string& line) {
  if (g_sink != nullptr) g_sink->write(level, module, line);
}

}  // namespace kvstore
