#include "host/process_metrics.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

namespace kvstore::host {
namespace {

// The fields of /proc/self/stat behind the program's name, which may hold spaces; field 3 comes
// first.
bool read_stat(std::istringstream* out) {
  std::ifstream in("/proc/self/stat");
  std::string line;
  if (!std::getline(in, line)) return false;
  size_t end = line.rfind(')');
  if (end == line.npos) return false;
  out->str(line.substr(end + 1));
  return true;
}

double boot_time_seconds() {
  std::ifstream in("/proc/stat");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  }
  return 0;
}

}  // namespace

ProcessFigures read_process_figures() {
  ProcessFigures figures;
  std::istringstream stat;
  if (read_stat(&stat)) {
    const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    std::string skipped;
    auto skip = [&](int n) {
      while (n-- > 0) stat >> skipped;
    };
    double user = 0, system = 0, started = 0;
    uint64_t resident_pages = 0;
    skip(11);  // fields 3..13
    stat >> user >> system;
    skip(4);  // 16..19
    stat >> figures.threads;
    skip(1);  // 21
    stat >> started >> figures.virtual_bytes >> resident_pages;
    figures.cpu_seconds = (user + system) / ticks;
    figures.start_time_seconds = boot_time_seconds() + started / ticks;
    figures.resident_bytes = resident_pages * page;
  }
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end;
       it.increment(error)) {
    ++figures.open_fds;
  }
  if (figures.open_fds > 0) --figures.open_fds;  // the one that reads the directory
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.max_fds = limit.rlim_cur;
  return figures;
}

}  // namespace kvstore::host
