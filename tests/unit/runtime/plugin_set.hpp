// The plugins that the tests of the runtime run on, and the host that they get.
#pragma once

#include <kvstore/abi/host.h>
#include <kvstore/abi/log.h>
#include <kvstore/abi/state.h>
#include <kvstore/abi/transport.h>

namespace kvstore::test {

const kvs_host* runtime_host();

// Loaded once per process from KVS_STORAGE_PLUGIN and KVS_TRANSPORT_PLUGIN, never unloaded.
struct PluginSet {
  const kvs_log_api* log = nullptr;
  const kvs_state_api* state = nullptr;
  const kvs_transport_api* transport = nullptr;
};
const PluginSet& plugins();

}  // namespace kvstore::test
