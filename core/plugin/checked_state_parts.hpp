// The objects behind the state proxy's handles and the functions of its table (internal to the
// proxy).
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include <kvstore/abi/state.h>

#include "plugin/probe.hpp"

namespace kvstore::plugin::checked_state {

enum Call : size_t {
  kOpen,
  kWrite,
  kSync,
  kGetMany,
  kViewOpen,
  kViewApplied,
  kViewGet,
  kIterOpen,
  kIterNext,
  kIterSeek,
  kRestoreBegin,
  kRestorePut,
  kRestoreCommit,
  kStats,
  kCallCount
};
inline constexpr const char* kCallNames[kCallCount] = {
    "open",          "write",       "sync",           "get_many",  "view_open",
    "view_applied",  "view_get",    "iter_open",      "iter_next", "iter_seek",
    "restore_begin", "restore_put", "restore_commit", "stats"};

constexpr uint32_t kSpaces = 16;

struct CheckedState {
  CheckedState(const kvs_state_api* t, const kvs_host* host, const ProxyOptions& options)
      : table(t), probe(host, options, "state", kCallNames) {}

  const kvs_state_api* const table;
  kvs_state* inner = nullptr;
  const Probe probe;
  Exclusive writer;
  Exclusive syncer;
  std::atomic<int> children{0};  // views and restores
  std::mutex mutex;              // guards what follows; a leaf: never held across a plugin call
  kvs_log_id applied{};          // the mark of the newest write that returned OK
  kvs_log_id pending{};          // the mark of the write inside the plugin, or `applied`
  bool known = true;             // false after an environment error of a writer

  kvs_log_id applied_now() {
    std::lock_guard lock(mutex);
    return applied;
  }
  kvs_log_id newest_possible() {
    std::lock_guard lock(mutex);
    return pending;
  }
};

struct CheckedView {
  CheckedState* state;
  kvs_view* inner;
  kvs_log_id at{};
  std::atomic<int> iterators{0};
  Exclusive user;
};

struct CheckedIter {
  CheckedView* view;
  kvs_iter* inner;
  uint32_t flags;
  std::string lower, upper;
  std::string previous;  // the last key delivered
  bool has_previous = false;
  std::string sought;  // where the next key must not lie before
  bool has_sought = false;
  bool ended = false;
};

struct CheckedRestore {
  CheckedState* state;
  kvs_restore* inner;
  Exclusive user;
};

// The plugin's types are opaque to the host, so a proxy's object travels in their place.
inline CheckedState* self(kvs_state* s) {
  KVS_ASSERT(s != nullptr);
  return reinterpret_cast<CheckedState*>(s);
}
inline CheckedView* self(kvs_view* v) {
  KVS_ASSERT(v != nullptr);
  return reinterpret_cast<CheckedView*>(v);
}
inline CheckedIter* self(kvs_iter* it) {
  KVS_ASSERT(it != nullptr);
  return reinterpret_cast<CheckedIter*>(it);
}
inline CheckedRestore* self(kvs_restore* r) {
  KVS_ASSERT(r != nullptr);
  return reinterpret_cast<CheckedRestore*>(r);
}

// Checks that hold for every call of a checked instance; the status to go on with.
kvs_status outcome(const Probe& probe, Call call, kvs_status status, kvs_error* err);

// "(term, index)", for reports.
std::string id_text(const kvs_log_id& id);

// A kvs_slice_sink that drops what it gets.
kvs_status ignore_slice(void* ctx, const kvs_slice* s) noexcept;

// Views and iterators (checked_view.cpp).
kvs_status view_open(kvs_state* s, kvs_view** out, kvs_error* err) noexcept;
void view_close(kvs_view* v) noexcept;
kvs_status view_applied(kvs_view* v, kvs_log_id* at, kvs_slice_sink meta, void* ctx,
                        kvs_error* err) noexcept;
kvs_status view_get(kvs_view* v, uint32_t space, const kvs_slice* key, kvs_slice_sink sink,
                    void* ctx, kvs_error* err) noexcept;
kvs_status iter_open(kvs_view* v, const kvs_iter_options* opt, kvs_iter** out,
                     kvs_error* err) noexcept;
kvs_status iter_next(kvs_iter* it, kvs_pair* out, uint32_t cap, uint64_t bytes_max, uint32_t* n,
                     kvs_error* err) noexcept;
kvs_status iter_seek(kvs_iter* it, const kvs_slice* key, kvs_error* err) noexcept;
void iter_close(kvs_iter* it) noexcept;

}  // namespace kvstore::plugin::checked_state
