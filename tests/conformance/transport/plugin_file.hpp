// The plugin under test, loaded from the file that KVS_TRANSPORT_PLUGIN names.
#pragma once

#include <kvstore/abi/plugin.h>
#include <kvstore/abi/transport.h>

namespace kvstore::conformance {

const kvs_plugin_manifest& manifest();
const kvs_transport_api& api();

}  // namespace kvstore::conformance
