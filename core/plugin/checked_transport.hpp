// A proxy between the host and any plugin that offers kvstore.transport/1: it checks both sides of
// the contract and measures every call.
#pragma once

#include <kvstore/abi/transport.h>

#include "plugin/options.hpp"

namespace kvstore::plugin {

// An open instance with the table its functions are to be called through: the plugin's own, or the
// proxy's, whose handle wraps the plugin's.
struct OpenedTransport {
  const kvs_transport_api* table = nullptr;
  kvs_transport* transport = nullptr;
};

// Opens an instance of the plugin behind `table`, with a proxy in front as `proxy` says.  `host`
// and `table` must outlive the instance.  Threads and errors are those of open() in
// kvstore/abi/transport.h.
kvs_status open_transport(const kvs_transport_api* table, const kvs_host* host,
                          const kvs_transport_options& options, const ProxyOptions& proxy,
                          OpenedTransport* out, kvs_error* err);

}  // namespace kvstore::plugin
