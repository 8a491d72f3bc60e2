#include "host/log_levels.hpp"

namespace kvstore::host {
namespace {

constexpr LogLevel kLevels[] = {LogLevel::kTrace, LogLevel::kDebug, LogLevel::kInfo,
                                LogLevel::kWarn,  LogLevel::kError, LogLevel::kOff};

bool level_by_name(std::string_view name, LogLevel* out) {
  for (LogLevel level : kLevels) {
    if (level_name(level) != name) continue;
    *out = level;
    return true;
  }
  return false;
}

bool is_module(std::string_view name) {
  return !name.empty() && name.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX"
                              "YZ0123456789-_.") == name.npos;
}

}  // namespace

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return "trace";
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
    case LogLevel::kOff:
      return "off";
  }
  return "error";
}

Result<LogLevels> parse_log_levels(std::string_view text) {
  LogLevels levels;
  while (true) {
    std::string_view item = text.substr(0, text.find(','));
    size_t equals = item.find('=');
    std::string_view module = equals == item.npos ? "" : item.substr(0, equals);
    std::string_view name = equals == item.npos ? item : item.substr(equals + 1);
    LogLevel level;
    if (!level_by_name(name, &level) || (equals != item.npos && !is_module(module))) {
      return Status(Code::kInvalid,
                    '"' + std::string(item) +
                        "\" is no log level; write trace, debug, info, warn, error or "
                        "off, or module=level, separated by commas");
    }
    if (module.empty()) {
      levels.fallback = level;
    } else {
      levels.modules[std::string(module)] = level;
    }
    if (item.size() == text.size()) return levels;
    text.remove_prefix(item.size() + 1);
  }
}

}  // namespace kvstore::host
