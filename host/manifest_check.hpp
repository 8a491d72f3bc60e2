// What a plugin's manifest and tables must look like.  Internal to the loader.
#pragma once

#include <string>

#include <kvstore/abi/plugin.h>

#include "base/status.hpp"

namespace kvstore::host {

// Minors of the interfaces that this host knows.
inline constexpr uint32_t kInterfaceMinor = 0;

// Checks everything that can be read without running the plugin; `path` names it in errors.
Status check_manifest(const std::string& path, const kvs_plugin_manifest* manifest);

// That the plugin offers `interface_id` and can live with this host's minor of it.
Status check_offers(const std::string& path, const kvs_plugin_manifest& manifest,
                    const std::string& interface_id);

// That a function table is large enough and has every function.
Status check_table(const std::string& path, const std::string& interface_id, const void* table);

}  // namespace kvstore::host
