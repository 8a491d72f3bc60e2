// storage-conformance: runs the contract suite against one plugin, each case in a process of its
// own.
//
//   storage-conformance --plugin FILE [--other FILE] [--config JSON] [--memory] [--seed N]
//                       [--include TEXT] [--list] [--in-process] [--keep-dirs] [--dir DIR]
//
// --other: another engine's plugin, whose directories must be refused.  --config: the options of
// every instance.  --memory: nothing survives a close.  --dir: where the cases' directories are
// made.
//
// Exit status 0 when every case passed.  A case fails by a broken check, a crash, a sanitizer
// report or by exceeding its time.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.hpp"
#include "plugin_file.hpp"

extern char** environ;

namespace kvstore::conformance {

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> all;
    for (auto part : {plugin_cases, open_cases, log_cases, log_edge_cases, state_cases,
                      iterator_cases, restore_cases, concurrency_cases, durability_cases,
                      crash_cases, fault_cases, random_cases}) {
      for (const Case& c : part()) all.push_back(c);
    }
    return all;
  }();
  return cases;
}

const std::vector<Child>& all_children() {
  static const std::vector<Child> children = crash_children();
  return children;
}

void fail_check(const char* file, int line, const std::string& what) {
  throw Failure(std::string(std::filesystem::path(file).filename()) + ":" + std::to_string(line) +
                ": " + what);
}

std::string status_name(kvs_status status) {
  switch (status) {
    case KVS_OK:
      return "OK";
    case KVS_E_INVALID:
      return "INVALID";
    case KVS_E_UNSUPPORTED:
      return "UNSUPPORTED";
    case KVS_E_INCOMPATIBLE:
      return "INCOMPATIBLE";
    case KVS_E_NOT_FOUND:
      return "NOT_FOUND";
    case KVS_E_END:
      return "END";
    case KVS_E_COMPACTED:
      return "COMPACTED";
    case KVS_E_CONFLICT:
      return "CONFLICT";
    case KVS_E_BUSY:
      return "BUSY";
    case KVS_E_CANCELLED:
      return "CANCELLED";
    case KVS_E_NO_MEMORY:
      return "NO_MEMORY";
    case KVS_E_NO_SPACE:
      return "NO_SPACE";
    case KVS_E_IO:
      return "IO";
    case KVS_E_CORRUPT:
      return "CORRUPT";
    case KVS_E_INTERNAL:
      return "INTERNAL";
    default:
      return "status " + std::to_string(status);
  }
}

namespace {

namespace fs = std::filesystem;

constexpr int kCaseTimeoutSeconds = 300;

struct Arguments {
  std::string plugin, other, config, include, dir, case_name, child;
  uint64_t seed = 0;
  bool persists = true;
  bool list = false;
  bool in_process = false;
  bool keep_dirs = false;
};

[[noreturn]] void usage(const std::string& wrong) {
  std::cerr
      << wrong
      << "\nusage: storage-conformance --plugin FILE [--other FILE] [--config JSON] [--memory]\n"
      << "  [--seed N] [--include TEXT] [--list] [--in-process] [--keep-dirs] [--dir DIR]\n";
  std::exit(2);
}

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    auto value = [&]() -> std::string {
      if (i + 1 >= argc) usage(flag + " needs a value");
      return argv[++i];
    };
    if (flag == "--plugin")
      a.plugin = value();
    else if (flag == "--other")
      a.other = value();
    else if (flag == "--config")
      a.config = value();
    else if (flag == "--include")
      a.include = value();
    else if (flag == "--dir")
      a.dir = value();
    else if (flag == "--case")
      a.case_name = value();
    else if (flag == "--child")
      a.child = value();
    else if (flag == "--seed")
      a.seed = std::strtoull(value().c_str(), nullptr, 10);
    else if (flag == "--memory")
      a.persists = false;
    else if (flag == "--list")
      a.list = true;
    else if (flag == "--in-process")
      a.in_process = true;
    else if (flag == "--keep-dirs")
      a.keep_dirs = true;
    else
      usage("unknown argument " + flag);
  }
  if (a.plugin.empty() && !a.list) usage("--plugin is missing");
  return a;
}

bool applies(const Case& c, const PluginFile& plugin, bool persists) {
  if (c.persistent_only && !persists) return false;
  switch (c.needs) {
    case Needs::kAny:
      return true;
    case Needs::kLog:
      return plugin.log() != nullptr;
    case Needs::kState:
      return plugin.state() != nullptr;
    case Needs::kBoth:
      return plugin.log() != nullptr && plugin.state() != nullptr;
  }
  return false;
}

Context make_context(const Arguments& a, const PluginFile& plugin, const PluginFile* other,
                     const std::string& dir) {
  Context c;
  c.plugin = &plugin;
  c.other = other;
  c.dir = dir;
  c.config = a.config;
  c.seed = a.seed;
  c.persists = a.persists;
  c.self = fs::read_symlink("/proc/self/exe");
  c.plugin_path = a.plugin;
  return c;
}

// The message of a failure, or empty.
std::string run_case(const Case& c, Context& context) {
  fs::create_directories(context.dir);
  try {
    c.run(context);
    return {};
  } catch (const std::exception& e) {
    return e.what();
  }
}

int run_single(const Arguments& a, const PluginFile& plugin, const PluginFile* other) {
  for (const Case& c : all_cases()) {
    if (a.case_name != c.name) continue;
    Context context = make_context(a, plugin, other, a.dir);
    const std::string failure = run_case(c, context);
    if (!failure.empty()) std::cout << "  " << failure << std::endl;
    return failure.empty() ? 0 : 1;
  }
  usage("no case " + a.case_name);
}

int run_child(const Arguments& a, const PluginFile& plugin) {
  for (const Child& child : all_children()) {
    if (a.child != child.name) continue;
    Context context = make_context(a, plugin, nullptr, a.dir);
    child.run(context);
    return 0;
  }
  usage("no child " + a.child);
}

// Runs one case in a fresh process; what went wrong, or empty.
std::string run_in_subprocess(const Arguments& a, const Case& c, const std::string& dir) {
  const std::string self = fs::read_symlink("/proc/self/exe");
  std::vector<std::string> args = {
      self, "--plugin", a.plugin, "--case", c.name, "--dir", dir, "--seed", std::to_string(a.seed)};
  if (!a.config.empty()) args.insert(args.end(), {"--config", a.config});
  if (!a.other.empty()) args.insert(args.end(), {"--other", a.other});
  if (!a.persists) args.push_back("--memory");
  std::vector<char*> argv;
  for (std::string& s : args) argv.push_back(s.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (::posix_spawn(&pid, self.c_str(), nullptr, nullptr, argv.data(), environ) != 0) {
    return "cannot start a process";
  }
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(kCaseTimeoutSeconds);
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      return "no end after " + std::to_string(kCaseTimeoutSeconds) + " s";
    }
    ::usleep(2000);
  }
  if (WIFSIGNALED(status)) return std::string("killed by ") + strsignal(WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return "exit status " + std::to_string(WEXITSTATUS(status));
  return {};
}

// The suite syncs a great deal, and judges durability by its own pictures: memory is as good as a
// disk.
std::string scratch_dir() {
  if (std::getenv("TMPDIR") == nullptr && ::access("/dev/shm", W_OK) == 0) return "/dev/shm";
  return fs::temp_directory_path();
}

int64_t milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               start)
      .count();
}

int run_all(const Arguments& a, const PluginFile& plugin, const PluginFile* other) {
  const std::string root =
      (a.dir.empty() ? scratch_dir() : a.dir) + "/kvs-conformance-" + std::to_string(::getpid());
  fs::create_directories(root);
  std::cout << "plugin " << plugin.manifest().id << " " << plugin.manifest().version << ", seed "
            << a.seed << std::endl;
  size_t passed = 0, failed = 0;
  for (const Case& c : all_cases()) {
    if (!applies(c, plugin, a.persists) || std::strstr(c.name, a.include.c_str()) == nullptr)
      continue;
    const std::string dir = root + "/" + c.name;
    std::string failure;
    const auto start = std::chrono::steady_clock::now();
    if (a.in_process) {
      Context context = make_context(a, plugin, other, dir);
      failure = run_case(c, context);
    } else {
      failure = run_in_subprocess(a, c, dir);
    }
    std::cout << (failure.empty() ? "PASS " : "FAIL ") << c.name << " - " << c.description << " ("
              << milliseconds_since(start) << " ms)" << std::endl;
    if (!failure.empty()) std::cout << "  " << failure << std::endl;
    ++(failure.empty() ? passed : failed);
    if (!a.keep_dirs) fs::remove_all(dir);
  }
  if (!a.keep_dirs) fs::remove_all(root);
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace

int run(int argc, char** argv) {
  Arguments a = parse(argc, argv);
  if (a.list) {
    for (const Case& c : all_cases()) std::cout << c.name << " - " << c.description << "\n";
    return 0;
  }
  if (a.seed == 0) a.seed = static_cast<uint64_t>(::time(nullptr));
  const PluginFile plugin(a.plugin);
  std::unique_ptr<PluginFile> other;
  if (!a.other.empty()) other = std::make_unique<PluginFile>(a.other);
  if (!a.child.empty()) return run_child(a, plugin);
  if (!a.case_name.empty()) return run_single(a, plugin, other.get());
  return run_all(a, plugin, other.get());
}

}  // namespace kvstore::conformance

int main(int argc, char** argv) {
  try {
    return kvstore::conformance::run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "storage-conformance: " << e.what() << "\n";
    return 1;
  }
}
