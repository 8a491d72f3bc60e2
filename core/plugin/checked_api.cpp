#include "plugin/checked_api.hpp"

#include <memory>
#include <string>

#include "plugin/checked_api_parts.hpp"
#include "plugin/probe.hpp"

namespace kvstore::plugin {
namespace checked_api {
namespace {

// The plugin's type is opaque to the host, so the proxy's object travels in its place.
CheckedApi* self(kvs_api* a) {
  KVS_ASSERT(a != nullptr);
  return reinterpret_cast<CheckedApi*>(a);
}

// Checks that hold for every call.
kvs_status outcome(const Probe& probe, Call call, kvs_status status, kvs_error* err) {
  if (!probe.checked()) return status;
  if (!known_status(status)) {
    return probe.plugin_bug(
        err, kCallNames[call],
        "returned status " + std::to_string(status) + ", which is not in the ABI");
  }
  if (std::string wrong = error_form(err); !wrong.empty()) {
    return probe.plugin_bug(nullptr, kCallNames[call], wrong);
  }
  return status;
}

kvs_status start(kvs_api* handle, kvs_error* err) noexcept {
  CheckedApi& api = *self(handle);
  KVS_ASSERT(!api.running);
  api.running = true;
  kvs_status status;
  {
    Probe::Timer timer(api.probe, kStart);
    status = api.table->start(api.inner, err);
  }
  status = outcome(api.probe, kStart, status, err);
  if (status != KVS_OK) api.running = false;
  return status;
}

// What stop() must leave behind: nothing.
void check_stopped(const CheckedApi& api) {
  // The host drains the engine before: every completion has run.
  KVS_ASSERT(api.pending == 0);
  const std::pair<const char*, size_t> left[] = {{"readers", api.readers.size()},
                                                 {"uploads", api.uploads.size()},
                                                 {"watches", api.watches.size()},
                                                 {"blobs", api.blobs.size()}};
  for (const auto& [what, count] : left) {
    if (count == 0) continue;
    (void)api.probe.plugin_bug(nullptr, "stop",
                               "did not close " + std::to_string(count) + ' ' + what);
  }
}

void stop(kvs_api* handle) noexcept {
  CheckedApi& api = *self(handle);
  KVS_ASSERT(api.running);
  {
    Probe::Timer timer(api.probe, kStop);
    api.table->stop(api.inner);
  }
  api.running = false;
  if (api.probe.checked()) check_stopped(api);
}

void close(kvs_api* handle) noexcept {
  std::unique_ptr<CheckedApi> api(self(handle));
  KVS_ASSERT(!api->running);
  api->table->close(api->inner);
}

kvs_status bound_address(kvs_api* handle, kvs_slice_sink sink, void* ctx) noexcept {
  CheckedApi& api = *self(handle);
  KVS_ASSERT(sink != nullptr);
  Probe::Timer timer(api.probe, kBoundAddress);
  return outcome(api.probe, kBoundAddress, api.table->bound_address(api.inner, sink, ctx), nullptr);
}

// Instances come from open_api() only: the table's own open cannot know which plugin is meant.
kvs_status refuse_open(const kvs_host*, const kvs_api_options*, kvs_api**, kvs_error*) noexcept {
  return KVS_E_UNSUPPORTED;
}

constexpr kvs_api_api kTable = {sizeof(kvs_api_api), 0, refuse_open, start, stop, close,
                                bound_address};

}  // namespace
}  // namespace checked_api

kvs_status open_api(const kvs_api_api* table, const kvs_host* host, const kvs_api_options& options,
                    const ProxyOptions& proxy, OpenedApi* out, kvs_error* err) {
  using namespace checked_api;
  *out = {table, nullptr};
  if (!Probe::wanted(host, proxy)) return table->open(host, &options, &out->api, err);
  KVS_ASSERT(options.engine != nullptr);
  auto api = std::make_unique<CheckedApi>(table, host, proxy);
  api->host_engine = options.engine;
  kvs_api_options ours = options;
  if (proxy.checked) {
    api->engine = make_engine(api.get());
    ours.engine = &api->engine;
  }
  kvs_status status;
  {
    Probe::Timer timer(api->probe, kOpen);
    status = table->open(host, &ours, &api->inner, err);
  }
  status = outcome(api->probe, kOpen, status, err);
  if (status != KVS_OK) return status;
  if (api->inner == nullptr)
    return api->probe.plugin_bug(err, "open", "succeeded without a handle");
  *out = {&kTable, reinterpret_cast<kvs_api*>(api.release())};
  return KVS_OK;
}

}  // namespace kvstore::plugin
