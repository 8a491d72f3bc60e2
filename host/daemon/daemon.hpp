// kvstore-server from its command line to its exit code.
#pragma once

#include <string>
#include <vector>

namespace kvstore::host {

// Exit codes: 0 stopped on SIGTERM or SIGINT, 1 could not start or had to stop, 2 usage or
// configuration.
int run_daemon(const std::vector<std::string>& arguments);

}  // namespace kvstore::host
