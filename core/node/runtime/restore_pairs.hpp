// From the pairs of a snapshot stream to a restore of the state plugin.
#pragma once

#include <span>

#include "plugin/state_store.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::node::runtime {

// Pairs go to the plugin in runs of one space.
Status put_pairs(plugin::Restore* restore, std::span<const wire::SnapshotPair> pairs);

}  // namespace kvstore::node::runtime
