// The plugin's manifest and the kvstore.api/1 table: nothing here but the way across the C ABI.
#include <cstring>
#include <string>

#include <kvstore/abi/api.h>
#include <kvstore/abi/plugin.h>
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/plugin.hpp>
#include <kvstore/sdk/slice.hpp>

#include <Poco/Foundation.h>
#include <Poco/Version.h>

#include "instance.hpp"

namespace kvstore::http {
namespace {

Instance* instance_of(kvs_api* api) {
  return reinterpret_cast<Instance*>(api);
}

kvs_status api_open(const kvs_host* host, const kvs_api_options* options, kvs_api** out,
                    kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    const kvs_api_options known = sdk::copy_options(options);
    *out = reinterpret_cast<kvs_api*>(new Instance(host, known));
  });
}

kvs_status api_start(kvs_api* api, kvs_error* err) noexcept {
  return sdk::guard(err, [&] { instance_of(api)->start(); });
}

void api_stop(kvs_api* api) noexcept {
  sdk::guard(nullptr, [&] { instance_of(api)->stop(); });
}

void api_close(kvs_api* api) noexcept {
  sdk::guard(nullptr, [&] { delete instance_of(api); });
}

kvs_status api_bound_address(kvs_api* api, kvs_slice_sink sink, void* ctx) noexcept {
  return sdk::guard(nullptr, [&] {
    const std::string address = instance_of(api)->bound_address();
    const kvs_slice slice = sdk::slice(address);
    return sink(ctx, &slice);
  });
}

constexpr kvs_api_api kTable = {sizeof(kvs_api_api), 0, api_open, api_start, api_stop, api_close,
                                api_bound_address};

const kvs_interface_ref kInterfaces[] = {{KVS_API_ID, 0, 0}};

const void* get_interface(const char* id) noexcept {
  return std::strcmp(id, KVS_API_ID) == 0 ? &kTable : nullptr;
}

const kvs_plugin_manifest kManifest = [] {
  kvs_plugin_manifest m = sdk::manifest("kvstore.api-http", "0.1.0", "HTTP API on Poco's server",
                                        kInterfaces, get_interface);
  m.config_schema = kConfigSchema;
  return m;
}();

}  // namespace
}  // namespace kvstore::http

KVS_PLUGIN_ENTRY(kvstore::http::kManifest)
