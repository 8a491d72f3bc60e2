// The daemon's log: one logfmt line per message on stderr.
//
//   ts=2026-01-02T03:04:05.678Z level=info module=raft node=node1 msg="became leader term=3"
#pragma once

#include <memory>
#include <string>

#include "base/log.hpp"
#include "host/log_levels.hpp"

namespace kvstore::host {

// Lifecycle: give it to set_log_sink() before threads start and let it outlive them.
// Concurrency: [any-thread]; levels are fixed at construction, so asking for one takes no lock.
class SpdlogSink final : public LogSink {
 public:
  SpdlogSink(LogLevels levels, std::string node);
  ~SpdlogSink() override;

  bool enabled(LogLevel level, const char* module) override;
  void write(LogLevel level, const char* module, const std::string& line) override;
  void flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  const LogLevels levels_;
  const std::string node_;  // quoted if need be
};

// A logfmt value: quoted when it has a space, a quote, '=' or a control character; those are
// escaped.
std::string logfmt_value(std::string_view text);

}  // namespace kvstore::host
