// A data directory that was found damaged while the node ran is not trusted again: its node would
// vote and serve on the strength of what it may have lost (reliability.md, promise 5).
#pragma once

#include <string>

#include "base/status.hpp"

namespace kvstore::node::runtime {

// Leaves the file DAMAGED with the reason in the directory.  Best effort: the disk may be gone.
void mark_damaged(const std::string& data_dir, const Status& why);

// CORRUPT with the reason and the remedy when the directory is marked.
Status check_not_damaged(const std::string& data_dir);

// What an operator does about a damaged directory.
std::string rebuild_advice(const std::string& data_dir);

}  // namespace kvstore::node::runtime
