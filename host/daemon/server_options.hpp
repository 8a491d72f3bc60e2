// From the configuration and the loaded plugins to what the runtime needs.
#pragma once

#include "base/status.hpp"
#include "host/config.hpp"
#include "host/loader.hpp"
#include "host/metrics.hpp"
#include "host/services.hpp"
#include "node/runtime/server.hpp"

namespace kvstore::host {

// Loads every plugin that the configuration names; a failure is one line that says which and why.
Result<node::runtime::ServerOptions> make_server_options(const Config& config, Loader* loader,
                                                         Services* services, Metrics* metrics,
                                                         const std::string& version);

}  // namespace kvstore::host
