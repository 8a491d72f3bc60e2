// The objects behind the API proxy's handles (internal to the proxy).
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>

#include <kvstore/abi/api.h>

#include "plugin/probe.hpp"

namespace kvstore::plugin::checked_api {

enum Call : size_t { kOpen, kStart, kStop, kBoundAddress, kCallCount };
inline constexpr const char* kCallNames[kCallCount] = {"open", "start", "stop", "bound_address"};

// The living objects of one kind that the plugin was given.  [any-thread]
template <typename T>
class Living {
 public:
  T* add(T* object) {
    std::lock_guard lock(mutex_);
    objects_.insert(object);
    return object;
  }
  bool has(const void* object) const {
    std::lock_guard lock(mutex_);
    return objects_.count(static_cast<T*>(const_cast<void*>(object))) != 0;
  }
  // False when it is not among them (any more).
  bool remove(const void* object) {
    std::lock_guard lock(mutex_);
    return objects_.erase(static_cast<T*>(const_cast<void*>(object))) != 0;
  }
  size_t size() const {
    std::lock_guard lock(mutex_);
    return objects_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::set<T*> objects_;
};

struct CheckedApi;

// A call whose completion the plugin waits for.
struct Pending {
  CheckedApi* api;
  void* user;
  kvs_done done = nullptr;
  kvs_read_done read_done = nullptr;
};
struct Reader {
  CheckedApi* api;
  kvs_reader* inner;
  Exclusive user;
};
struct Upload {
  CheckedApi* api;
  kvs_upload* inner;
};
struct Watch {
  CheckedApi* api;
  kvs_watch* inner = nullptr;
  kvs_watch_fn fn = nullptr;
  void* user = nullptr;
  std::atomic<uint64_t> credit{0};
  std::atomic<bool> ended{false};
  Exclusive in_fn;
  bool closed_inside = false;  // by its own callback
};
struct Blob {
  CheckedApi* api;
  kvs_blob* inner;
  Exclusive user;
};

struct CheckedApi {
  CheckedApi(const kvs_api_api* t, const kvs_host* host, const ProxyOptions& options)
      : table(t), probe(host, options, "api", kCallNames) {}

  // Reports a broken promise of an engine call.
  kvs_status misuse(kvs_error* err, const char* call, const std::string& what) const {
    return probe.plugin_bug(err, call, what);
  }

  const kvs_api_api* const table;
  kvs_api* inner = nullptr;
  const Probe probe;
  const kvs_engine* host_engine = nullptr;
  kvs_engine engine{};               // ours, given to the plugin
  std::atomic<bool> running{false};  // between start() and the return of stop()
  std::atomic<int> pending{0};       // completions that the plugin waits for
  Living<Reader> readers;
  Living<Upload> uploads;
  Living<Watch> watches;
  Living<Blob> blobs;
};

// The pending calls of every front end: a completion that is not among them came twice, or never
// should.
Living<Pending>& pending_calls();

// The call that the calling thread is submitting: it must not complete inside.
inline thread_local const Pending* t_submitting = nullptr;

// Our engine for the plugin (checked_engine.cpp).
kvs_engine make_engine(CheckedApi* api);

}  // namespace kvstore::plugin::checked_api
