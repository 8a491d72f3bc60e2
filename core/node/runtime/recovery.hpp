// Bringing log and state together at start.
#pragma once

#include "base/status.hpp"
#include "kv/state_machine.hpp"
#include "node/runtime/state_adapter.hpp"
#include "plugin/log_store.hpp"
#include "raft/raft_node.hpp"

namespace kvstore::node::runtime {

// Writes the first entry of a new cluster: a configuration with this one voter, committed in
// term 1.  Repeating it after a crash is harmless; INVALID when the log holds anything else.
Status write_bootstrap(plugin::LogStore* log, const raft::Configuration& configuration);

// Reads the whole log and the state's mark.  A log that does not hold the state's last applied
// entry is reset to it (abi.md §7, step c); CORRUPT when the state ends before the log begins, the
// log was emptied under a state, or an entry fails its checksum.
Result<raft::Restored> recover(plugin::LogStore* log, StateAdapter* state, uint64_t cache_bytes);

}  // namespace kvstore::node::runtime
