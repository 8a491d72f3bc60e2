// A proxy between the host and any plugin that offers kvstore.state/1: it checks both sides of the
// contract and measures every call.
#pragma once

#include <kvstore/abi/state.h>

#include "plugin/options.hpp"

namespace kvstore::plugin {

// An open instance with the table its functions are to be called through: the plugin's own, or the
// proxy's, whose handle wraps the plugin's.
struct OpenedState {
  const kvs_state_api* table = nullptr;
  kvs_state* state = nullptr;
};

// Opens an instance of the plugin behind `table`, with a proxy in front as `proxy` says.  `host`
// and `table` must outlive the instance.  Threads and errors are those of open() in
// kvstore/abi/state.h.
kvs_status open_state(const kvs_state_api* table, const kvs_host* host,
                      const kvs_storage_options& options, const ProxyOptions& proxy,
                      OpenedState* out, kvs_error* err);

}  // namespace kvstore::plugin
