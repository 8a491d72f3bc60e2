// What every proxy shares: measuring calls, reporting broken promises, judging outcomes.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <kvstore/abi/host.h>

#include "base/assert.hpp"
#include "plugin/options.hpp"

namespace kvstore::plugin {

// One proxied instance.  [any-thread] after construction.
//
// Metrics: kvstore_plugin_call_seconds{interface,call,plugin}, a histogram of every call's duration
// on the host's clock, and kvstore_plugin_bugs_total{interface,plugin}.
class Probe {
 public:
  // `interface` and `calls` (the call names by number) must be string literals; `host` must outlive
  // this.
  Probe(const kvs_host* host, const ProxyOptions& options, const char* interface,
        std::span<const char* const> calls);

  // Whether there is anything for a proxy to do.
  static bool wanted(const kvs_host* host, const ProxyOptions& options);

  bool checked() const { return checked_; }

  // Logs "<plugin> <interface>.<call>: <what>" at PLUGIN_BUG, counts it, writes it into `err` and
  // returns KVS_E_INTERNAL.
  kvs_status plugin_bug(kvs_error* err, const char* call, const std::string& what) const;

  // Measures from construction to destruction.
  class Timer {
   public:
    Timer(const Probe& probe, size_t call);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

   private:
    const Probe& probe_;
    const size_t call_;
    const uint64_t begin_ns_;
  };

  const char* call_name(size_t call) const { return calls_[call]; }

 private:
  const kvs_host* host_;
  const kvs_metrics* metrics_ = nullptr;
  const std::string plugin_;
  const char* const interface_;
  const std::span<const char* const> calls_;
  const bool checked_;
  std::vector<uint64_t> seconds_;  // histogram handles by call
  uint64_t bugs_ = 0;              // counter handle
};

// The metrics table of a host, or NULL.
const kvs_metrics* host_metrics(const kvs_host* host);

// Whether a status is one of the ABI's numbers.
bool known_status(kvs_status status);
// Environment errors poison the instance that returned them: later writes must keep failing.
bool poisons(kvs_status status);

// An error buffer's form after a call; empty when it is fine, else what is wrong with it.
std::string error_form(const kvs_error* err);

inline bool valid_slice(const kvs_slice* s) {
  return s != nullptr && (s->data != nullptr || s->len == 0);
}

// Asserts that functions tagged for one thread never overlap.
class Exclusive {
 public:
  class Scope {
   public:
    explicit Scope(Exclusive& owner) : owner_(owner) { KVS_ASSERT(!owner_.busy_.exchange(true)); }
    ~Scope() { owner_.busy_ = false; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Exclusive& owner_;
  };
  bool busy() const { return busy_; }

 private:
  std::atomic<bool> busy_{false};
};

}  // namespace kvstore::plugin
