// A log of the plugin under test, driven through its table and mirrored in a model.
#pragma once

#include <string>

#include <kvstore/abi/log.h>

#include "kit.hpp"
#include "log_model.hpp"

namespace kvstore::conformance {

// Opens; the message of a failure goes to *message if given.
kvs_status open_log(const PluginFile& plugin, const std::string& dir, const std::string& config,
                    uint32_t flags, kvs_log** out, std::string* message = nullptr);

// Lifecycle: open from construction to destruction, whatever happens in between.
class LogDriver {
 public:
  // CREATE in a sub-directory of the case's, or in `dir` if that is absolute.
  explicit LogDriver(Context& context, const std::string& dir = "log",
                     uint32_t flags = KVS_STORAGE_CREATE);
  LogDriver(const LogDriver&) = delete;
  LogDriver& operator=(const LogDriver&) = delete;
  ~LogDriver();

  const kvs_log_api& api() const { return *api_; }
  kvs_log* handle() { return log_; }
  const std::string& dir() const { return dir_; }

  // Close and open again, without CREATE; nothing happens when the plugin does not persist.
  void reopen();
  void close();

  // One step of the writer; the status is the plugin's.
  kvs_status step(const LogStep& step, std::string* message = nullptr);
  kvs_log_state state();
  // Everything in the log; fails the case when that contradicts itself.
  LogModel contents();
  kvs_status read(uint64_t first, uint64_t max_count, uint64_t max_bytes, std::vector<Entry>* out);

 private:
  Context& context_;
  const kvs_log_api* api_;
  std::string dir_;
  kvs_log* log_ = nullptr;
};

// A driver and a model that do the same steps.
class MirroredLog {
 public:
  explicit MirroredLog(Context& context, const std::string& dir = "log") : driver(context, dir) {}

  // Each requires the plugin to succeed, applies to the model too, and compares.
  void append(uint64_t count, uint64_t term, size_t bytes = 20, bool sync = true);
  void vote(uint64_t term, uint64_t voted_for);
  void truncate(uint64_t from, uint64_t count, uint64_t term);
  void compact(uint64_t index);
  void reset(uint64_t term, uint64_t index);
  void apply(const LogStep& step);
  // Requires the plugin to refuse with `status` and to change nothing.
  void refuse(const LogStep& step, kvs_status status);
  void check();
  void check_after_reopen();

  LogDriver driver;
  LogModel model;

 private:
  uint64_t salt_ = 0;
};

}  // namespace kvstore::conformance
