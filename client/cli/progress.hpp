// A line on standard error that shows how far a long command is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "commands.hpp"

namespace kvstore::cli {

// Draws only where Io says that standard error is a terminal, and only when the work takes longer
// than 300 ms; then at most every 100 ms.  The line is erased at the end.
class Progress {
 public:
  using ClockMs = std::function<uint64_t()>;

  // `clock`: of tests; by default a steady one.
  Progress(Io& io, std::string title, ClockMs clock = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // What update() counts up to, 0: unknown; "bytes" as unit are shown as KiB, MiB.
  void set_total(uint64_t total, std::string unit);
  void update(uint64_t done, std::string_view note = "");
  // Erases the line, so that something else can be printed.
  void finish();

 private:
  std::string line(uint64_t done, std::string_view note) const;

  std::ostream* out_;  // null: draws nothing
  const std::string title_;
  const ClockMs clock_;
  std::string unit_;
  uint64_t total_ = 0, begin_ms_ = 0, next_ms_ = 0;
  bool drawn_ = false;
};

// For work that prints as it goes: it shows progress only while its output goes elsewhere.
inline Io printing(const Io& io) {
  return {
      io.in, io.out, io.err, io.colours, io.progress && !io.out_is_terminal, io.out_is_terminal};
}

// 1536 as "1.5 KiB".
std::string format_bytes(uint64_t bytes);

}  // namespace kvstore::cli
