// Levels per module, written "info,raft=debug,apply=off".
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/status.hpp"

namespace kvstore::host {

struct LogLevels {
  LogLevel fallback = LogLevel::kInfo;
  std::map<std::string, LogLevel, std::less<>> modules;

  LogLevel of(std::string_view module) const {
    auto it = modules.find(module);
    return it == modules.end() ? fallback : it->second;
  }
};

// trace, debug, info, warn, error or off; kInvalid names what is not understood.
Result<LogLevels> parse_log_levels(std::string_view text);

// "info"; for log lines.
std::string_view level_name(LogLevel level);

}  // namespace kvstore::host
