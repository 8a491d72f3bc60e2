#include "host/log_spdlog.hpp"

#include <chrono>
#include <ctime>

#include <fmt/chrono.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace kvstore::host {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::err;
}

std::string timestamp() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", utc, ms % 1000);
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out += '"';
}

}  // namespace

std::string logfmt_value(std::string_view text) {
  if (text.empty()) return "\"\"";
  for (char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == '"' || c == '\\' || c == '=' || c == 0x7f) {
      return in_quotes(text);
    }
  }
  return std::string(text);
}

struct SpdlogSink::Impl {
  spdlog::logger logger{"kvstore", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
};

SpdlogSink::SpdlogSink(LogLevels levels, std::string node)
    : impl_(std::make_unique<Impl>()), levels_(std::move(levels)), node_(logfmt_value(node)) {
  impl_->logger.set_level(spdlog::level::trace);
  impl_->logger.set_pattern("%v");
  impl_->logger.flush_on(spdlog::level::warn);
}

SpdlogSink::~SpdlogSink() {
  flush();
}

bool SpdlogSink::enabled(LogLevel level, const char* module) {
  return level >= levels_.of(module);
}

void SpdlogSink::write(LogLevel level, const char* module, const std::string& line) {
  // A message is always quoted, so that it is recognised at a glance and by simple tools.
  std::string text = fmt::format("ts={} level={} module={} node={} msg={}", timestamp(),
                                 level_name(level), logfmt_value(module), node_, in_quotes(line));
  impl_->logger.log(spdlog_level(level), text);
}

void SpdlogSink::flush() {
  impl_->logger.flush();
}

}  // namespace kvstore::host
