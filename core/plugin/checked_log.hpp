// A proxy between the host and any plugin that offers kvstore.log/1: it checks both sides of the
// contract and measures every call.
#pragma once

#include <kvstore/abi/log.h>

#include "plugin/options.hpp"

namespace kvstore::plugin {

// An open instance with the table its functions are to be called through: the plugin's own, or the
// proxy's, whose handle wraps the plugin's.
struct OpenedLog {
  const kvs_log_api* table = nullptr;
  kvs_log* log = nullptr;
};

// Opens an instance of the plugin behind `table`, with a proxy in front as `proxy` says.  `host`
// and `table` must outlive the instance.  Threads and errors are those of open() in
// kvstore/abi/log.h.
kvs_status open_log(const kvs_log_api* table, const kvs_host* host,
                    const kvs_storage_options& options, const ProxyOptions& proxy, OpenedLog* out,
                    kvs_error* err);

}  // namespace kvstore::plugin
