// Small files that are there whole or not at all after a crash.
#pragma once

#include <string>

#include "base/status.hpp"

namespace kvstore::node::runtime {

// Replaces the file atomically and durably: temporary file, fsync, rename, fsync of the directory.
// IO names the file and what failed.
Status write_durable_file(const std::string& directory, const std::string& name,
                          const std::string& text);

// Removes the file if it is there, durably.
Status remove_durable_file(const std::string& directory, const std::string& name);

}  // namespace kvstore::node::runtime
