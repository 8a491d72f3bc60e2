// The command line of kvstore-server: flags over environment over file over defaults.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.hpp"
#include "host/config.hpp"

namespace kvstore::host {

enum class Action {
  kRun,
  kCheckConfig,  // the config was read and is valid: load the plugins too, then exit
  kPrintConfig,
  kListPlugins,
  kExit  // `output` (help or version) was asked for
};

struct CommandLine {
  Action action = Action::kRun;
  Config config;       // for kListPlugins only plugin_dir and log_level need be meaningful
  std::string output;  // for kExit: what to print on stdout
  // "--config: PATH: ", for errors that only the plugins find; empty without a file.
  std::string config_prefix;
};

// What a usage or configuration error makes the program exit with.
inline constexpr int kExitUsage = 2;

// Reads an environment variable; nullptr when it is not set.
using Environment = std::function<const char*(const char*)>;

// `arguments` begins with the program's name; `program_dir` is the directory of the executable,
// from which the default plugin_dir derives.  A failure is one line for stderr; exit with
// kExitUsage.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                       const Environment& environment,
                                       const std::string& program_dir, const std::string& version);

// The directory of the running executable; "." when it cannot be found out.
std::string program_directory();

}  // namespace kvstore::host
