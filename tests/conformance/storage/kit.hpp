// The frame of the contract suite: named cases, checks that throw, and what a case gets to work
// with.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <kvstore/abi/base.h>

namespace kvstore::conformance {

class PluginFile;

// A broken promise of the plugin (or of the suite itself): ends the case.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] void fail_check(const char* file, int line, const std::string& what);

// What one case works with.  Lives as long as the case.
struct Context {
  const PluginFile* plugin = nullptr;
  const PluginFile* other = nullptr;  // another engine's plugin, or null
  std::string dir;                    // fresh and empty
  std::string config;                 // the plugin's options for every instance
  uint64_t seed = 1;
  bool persists = true;  // data survive a close
  std::string self;      // this program, to start children with
  std::string plugin_path;

  std::string sub(const std::string& name) const { return dir + "/" + name; }
};

// Which interface a case needs, and whether it makes sense only for plugins that persist.
enum class Needs { kAny, kLog, kState, kBoth };
struct Case {
  const char* name;         // kebab-case, stable
  const char* description;  // one sentence
  Needs needs;
  bool persistent_only;
  void (*run)(Context& context);
};

// A child process that works until it is killed, acknowledging steps on standard output.
struct Child {
  const char* name;
  void (*run)(Context& context);
};

const std::vector<Case>& all_cases();
const std::vector<Child>& all_children();

// One per file of cases.
std::vector<Case> plugin_cases();
std::vector<Case> open_cases();
std::vector<Case> log_cases();
std::vector<Case> log_edge_cases();
std::vector<Case> state_cases();
std::vector<Case> iterator_cases();
std::vector<Case> restore_cases();
std::vector<Case> concurrency_cases();
std::vector<Case> durability_cases();
std::vector<Case> crash_cases();
std::vector<Case> fault_cases();
std::vector<Case> random_cases();
std::vector<Child> crash_children();

inline uint32_t flag_if(bool on, uint32_t flag) {
  return on ? flag : 0;
}

// "OK", "BUSY" ...
std::string status_name(kvs_status status);

}  // namespace kvstore::conformance

#define KIT_CHECK(cond) \
  ((cond) ? (void)0 : ::kvstore::conformance::fail_check(__FILE__, __LINE__, #cond))
#define KIT_CHECK_MSG(cond, message) \
  ((cond) ? (void)0 : ::kvstore::conformance::fail_check(__FILE__, __LINE__, (message)))
// The expression is evaluated once; both statuses are named when they differ.
#define KIT_STATUS(expected, expression)                                                          \
  do {                                                                                            \
    const kvs_status kit_status = (expression);                                                   \
    KIT_CHECK_MSG(kit_status == (expected), std::string(#expression) + " is " +                   \
                                                ::kvstore::conformance::status_name(kit_status) + \
                                                ", expected " +                                   \
                                                ::kvstore::conformance::status_name(expected));   \
  } while (0)
