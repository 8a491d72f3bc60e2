// Goal: log lines are one logfmt line each whatever they hold, at the levels asked for.
// Method: stderr is redirected into a file while the sink writes.
#include <cstdio>
#include <string>

#include <doctest/doctest.h>
#include <unistd.h>

#include "host/log_spdlog.hpp"

using namespace kvstore;
using host::parse_log_levels;

namespace {

// What `fn` writes to stderr.
template <typename Fn>
std::string stderr_of(Fn fn) {
  std::fflush(stderr);
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  int saved = dup(2);
  dup2(fileno(file), 2);
  fn();
  std::fflush(stderr);
  dup2(saved, 2);
  close(saved);
  std::string text(4096, '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

}  // namespace

TEST_CASE("levels: a default and modules") {
  host::LogLevels levels = parse_log_levels("warn,raft=trace,apply=off").value();
  CHECK(levels.of("node") == LogLevel::kWarn);
  CHECK(levels.of("raft") == LogLevel::kTrace);
  CHECK(levels.of("apply") == LogLevel::kOff);
  CHECK(parse_log_levels("raft=debug").value().of("node") == LogLevel::kInfo);
  for (const char* bad : {"", "loud", "info,", "info,raft", "=info", "raft=", "info;raft=debug"}) {
    CAPTURE(bad);
    CHECK(parse_log_levels(bad).status().code() == Code::kInvalid);
  }
  CHECK(parse_log_levels("info,raft=loud").status().message().find("\"raft=loud\"") == 0);
}

TEST_CASE("a line has all its fields and stays one line") {
  std::string text = stderr_of([] {
    host::SpdlogSink sink(parse_log_levels("info").value(), "node 1");
    sink.write(LogLevel::kWarn, "raft", "a \"quoted\"\nline\\ with \x01");
    sink.flush();
  });
  INFO(text);
  REQUIRE(text.size() > 27);
  CHECK(text.starts_with("ts=2"));
  CHECK(text[27] == ' ');
  CHECK(text.substr(28) ==
        "level=warn module=raft node=\"node 1\" msg=\"a \\\"quoted\\\"\\nline\\\\ with \\x01\"\n");
}

TEST_CASE("levels are asked per module") {
  host::SpdlogSink sink(parse_log_levels("info,raft=debug,noisy=off").value(), "n");
  CHECK(sink.enabled(LogLevel::kDebug, "raft"));
  CHECK(!sink.enabled(LogLevel::kTrace, "raft"));
  CHECK(!sink.enabled(LogLevel::kDebug, "node"));
  CHECK(sink.enabled(LogLevel::kInfo, "node"));
  CHECK(!sink.enabled(LogLevel::kError, "noisy"));
}

TEST_CASE("logfmt values are quoted when they must be") {
  CHECK(host::logfmt_value("plain-1.2:3") == "plain-1.2:3");
  CHECK(host::logfmt_value("") == "\"\"");
  CHECK(host::logfmt_value("a b") == "\"a b\"");
  CHECK(host::logfmt_value("a=b") == "\"a=b\"");
}
