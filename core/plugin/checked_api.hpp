// A proxy between the host and any plugin that offers kvstore.api/1: it checks both sides of the
// contract and measures every call.
#pragma once

#include <kvstore/abi/api.h>

#include "plugin/options.hpp"

namespace kvstore::plugin {

// An open instance with the table its functions are to be called through: the plugin's own, or the
// proxy's, whose handle wraps the plugin's.
struct OpenedApi {
  const kvs_api_api* table = nullptr;
  kvs_api* api = nullptr;
};

// Opens an instance of the plugin behind `table`, with a proxy in front as `proxy` says.  `host`
// and `table` must outlive the instance.  Threads and errors are those of open() in
// kvstore/abi/api.h.
kvs_status open_api(const kvs_api_api* table, const kvs_host* host, const kvs_api_options& options,
                    const ProxyOptions& proxy, OpenedApi* out, kvs_error* err);

}  // namespace kvstore::plugin
