#include "progress.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

namespace kvstore::cli {
namespace {

constexpr uint64_t kFirstMs = 300;
constexpr uint64_t kEveryMs = 100;
constexpr size_t kBarColumns = 30;
constexpr const char* kErase = "\r\x1b[K";

uint64_t steady_ms() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

}  // namespace

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " bytes";
  auto number = static_cast<double>(bytes);
  size_t unit = 0;
  for (; number >= 1024 && unit + 1 < kUnits.size(); ++unit) number /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", number, kUnits[unit]);
  return text;
}

Progress::Progress(Io& io, std::string title, ClockMs clock)
    : out_(io.progress ? &io.err : nullptr),
      title_(std::move(title)),
      clock_(clock ? std::move(clock) : ClockMs(steady_ms)) {
  if (out_ == nullptr) return;
  begin_ms_ = clock_();
  next_ms_ = begin_ms_ + kFirstMs;
}

Progress::~Progress() {
  finish();
}

void Progress::finish() {
  if (drawn_) *out_ << kErase << std::flush;
  drawn_ = false;
}

void Progress::set_total(uint64_t total, std::string unit) {
  total_ = total;
  unit_ = std::move(unit);
}

void Progress::update(uint64_t done, std::string_view note) {
  if (out_ == nullptr) return;
  const uint64_t now = clock_();
  if (now < next_ms_) return;
  next_ms_ = now + kEveryMs;
  drawn_ = true;
  *out_ << kErase << line(done, note) << std::flush;
}

std::string Progress::line(uint64_t done, std::string_view note) const {
  std::string out = title_;
  if (total_ != 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const auto filled = static_cast<size_t>(share * kBarColumns);
    out += " [" + std::string(filled, '#') + std::string(kBarColumns - filled, '.') + "] " +
           std::to_string(static_cast<int>(share * 100)) + " %";
  }
  if (unit_ == "bytes") {
    out += " " + format_bytes(done);
    if (total_ != 0) out += " of " + format_bytes(total_);
  } else if (!unit_.empty()) {
    out += " " + std::to_string(done) + " " + unit_;
  }
  if (!note.empty()) out.append(" ").append(note);
  return out;
}

}  // namespace kvstore::cli
