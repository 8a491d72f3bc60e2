// The log front of the core: a level check and a formatted line, handed to whatever sink the host
// set. Modules are string literals ("raft", "node", "apply", ...); levels are set per module by the
// host.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/core.h>

namespace kvstore {

enum class LogLevel : int32_t {
  kTrace = 0,
  kDebug = 1,
  kInfo = 2,
  kWarn = 3,
  kError = 4,
  kOff = 5
};

// Receives every enabled line.  [any-thread]; must not throw or call back into the core.
struct LogSink {
  virtual ~LogSink() = default;
  virtual bool enabled(LogLevel level, const char* module) = 0;
  virtual void write(LogLevel level, const char* module, const std::string& line) = 0;
};

// Not thread-safe against concurrent logging: set once before threads start.  nullptr silences.
void set_log_sink(LogSink* sink);
bool log_enabled(LogLevel level, const char* module);
void log_write(LogLevel level, const char* module, const std::string& line);

}  // namespace kvstore

// KVS_LOG(kInfo, "raft", "became leader term={}", term)
#define KVS_LOG(level, module, ...)                                                         \
  do {                                                                                      \
    if (::kvstore::log_enabled(::kvstore::LogLevel::level, module))                         \
      ::kvstore::log_write(::kvstore::LogLevel::level, module, ::fmt::format(__VA_ARGS__)); \
  } while (0)
