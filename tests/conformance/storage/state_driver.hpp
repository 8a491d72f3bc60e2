// A state of the plugin under test, driven through its table and mirrored in a model.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kvstore/abi/state.h>

#include "kit.hpp"
#include "state_model.hpp"

namespace kvstore::conformance {

kvs_status open_state(const PluginFile& plugin, const std::string& dir, const std::string& config,
                      uint32_t flags, kvs_state** out, std::string* message = nullptr);

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Scan {
  uint32_t space = 0;
  std::string lower;
  std::string upper;
  bool reverse = false;
  bool keys_only = false;
  uint32_t cap = 100;
  uint64_t bytes_max = 1u << 20;
};

// A view, closed with the object.
class ViewDriver {
 public:
  ViewDriver(const kvs_state_api& api, kvs_state* state);
  ViewDriver(const ViewDriver&) = delete;
  ViewDriver& operator=(const ViewDriver&) = delete;
  ~ViewDriver() { api_.view_close(view_); }

  kvs_view* handle() { return view_; }
  std::optional<std::string> get(const std::string& key, uint32_t space = 0);
  Pairs scan(const Scan& scan);
  // Everything; fails the case when the walk forwards, the one backwards and gets disagree.
  StateModel contents();

 private:
  const kvs_state_api& api_;
  kvs_view* view_ = nullptr;
};

// An iterator, closed with the object.
class IterDriver {
 public:
  IterDriver(const kvs_state_api& api, kvs_view* view, const Scan& scan);
  IterDriver(const IterDriver&) = delete;
  IterDriver& operator=(const IterDriver&) = delete;
  ~IterDriver() { api_.iter_close(iter_); }

  // Appends what comes next; false at the end.
  bool next(Pairs* out);
  void seek(const std::string& key);
  Pairs rest();

 private:
  const kvs_state_api& api_;
  const Scan scan_;
  kvs_iter* iter_ = nullptr;
};

// Lifecycle: open from construction to destruction, whatever happens in between.
class StateDriver {
 public:
  explicit StateDriver(Context& context, const std::string& dir = "state",
                       uint32_t flags = KVS_STORAGE_CREATE);
  StateDriver(const StateDriver&) = delete;
  StateDriver& operator=(const StateDriver&) = delete;
  ~StateDriver();

  const kvs_state_api& api() const { return *api_; }
  kvs_state* handle() { return state_; }
  const std::string& dir() const { return dir_; }
  void reopen();
  void close();

  kvs_status write(const Batch& batch, std::string* message = nullptr);
  kvs_log_id sync();
  StateModel contents();
  std::vector<std::optional<std::string>> get_many(const std::vector<std::string>& keys,
                                                   uint32_t space = 0);

 private:
  Context& context_;
  const kvs_state_api* api_;
  std::string dir_;
  kvs_state* state_ = nullptr;
};

// A restore; aborted with the object unless committed.
class RestoreDriver {
 public:
  explicit RestoreDriver(StateDriver& state);
  RestoreDriver(const RestoreDriver&) = delete;
  RestoreDriver& operator=(const RestoreDriver&) = delete;
  ~RestoreDriver();

  void put(const StateModel& content);
  void put(uint32_t space, const Pairs& pairs);
  kvs_status commit(kvs_log_id at, const std::string& meta);
  void abort();

 private:
  const kvs_state_api& api_;
  kvs_restore* restore_ = nullptr;
};

// A driver and a model that do the same writes.
class MirroredState {
 public:
  explicit MirroredState(Context& context, const std::string& dir = "state")
      : driver(context, dir) {}

  // Writes at the next index; requires success, applies to the model too.
  void write(std::vector<Op> ops, bool sync = false, const std::string& meta = {});
  void apply(const Batch& batch);
  void refuse(const Batch& batch, kvs_status status);
  void check();
  void check_after_reopen();

  StateDriver driver;
  StateModel model;
};

}  // namespace kvstore::conformance
