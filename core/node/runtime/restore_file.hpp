// A new cluster that begins from a snapshot file, which lies in the data directory as
// wire::kRestoreFileName.
//
// What becomes durable, in this order, and what a crash behind each step leaves:
//   0. the file, whole                 by `kvstore-client snapshot restore`: a start finds it
//   1. the stores, empty               the next start makes nothing new and goes on
//   2. the state is the file's, with   one atomic commit of a restore.  The state stands exactly
//      a configuration of this node    where the file does, without node.json: by that the next
//      alone                           start knows its own work, and does it again
//   3. the log is empty and begins     as above
//      behind the file's last entry
//   4. the log's hard state: the       as above
//      file's term, no vote
//   5. node.json, which names the      the cluster exists; the next start is an ordinary one, and
//      file                            knows the file for one that was used
//   6. the file is gone
// Up to step 5 every start does all of it again with an id of its own, so nothing is left of an
// earlier attempt: 2 replaces the whole state, 3 the log, 4 the vote.
#pragma once

#include <optional>
#include <string>

#include "base/status.hpp"
#include "node/runtime/identity_file.hpp"
#include "node/runtime/state_adapter.hpp"
#include "plugin/log_store.hpp"
#include "raft/types.hpp"
#include "wire/snapshot_file.hpp"

namespace kvstore::node::runtime {

// A file that was found whole.
struct RestoreFile {
  std::string path;
  wire::SnapshotFileHeader header;
  uint32_t fingerprint = 0;
};

// What a start has to restore; nullopt: nothing.  `known`: node.json, null at a first start.
//
// At a first start with --bootstrap the whole file is read; later one that was used before is
// removed.  INVALID, naming the file and the way out, when it is damaged or of a format that is not
// known, and for a file that this start does not lead to a new cluster: nothing is changed then.
Result<std::optional<RestoreFile>> find_restore_file(const std::string& data_dir,
                                                     const IdentityFile* known, bool bootstrap);

// Before step 2.  INVALID when the stores hold anything but what an earlier attempt at the same
// file left.
Status check_restorable(const RestoreFile& file, const plugin::LogStore& log, StateAdapter* state);

// Step 2.  The state is read by nobody yet.
Status restore_state(const RestoreFile& file, plugin::StateStore* state,
                     const raft::Configuration& configuration);
// Steps 3 and 4.
Status restore_log(const RestoreFile& file, plugin::LogStore* log);

// Step 6; fine when it is gone already.
Status remove_restore_file(const std::string& data_dir);

}  // namespace kvstore::node::runtime
