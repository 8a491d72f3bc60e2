// node.json: who this data directory is.  Written last at first start, and replaced when the node
// joins a cluster.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/status.hpp"
#include "node/identity.hpp"

namespace kvstore::node::runtime {

struct IdentityFile {
  static constexpr uint32_t kFormat = 1;

  wire::ClusterId cluster{};
  raft::NodeId id;
  std::string name;
  std::string log_plugin;  // plugin ids: a directory of one engine is not opened with another
  std::string state_plugin;
  // The fingerprint of the snapshot file that the cluster began from in this directory.
  std::optional<uint32_t> restored_file;
};

// nullopt when there is none; CORRUPT, naming the file, when it cannot be understood.
Result<std::optional<IdentityFile>> read_identity(const std::string& data_dir);

// Atomic and durable: temporary file, fsync, rename, fsync of the directory.
Status write_identity(const std::string& data_dir, const IdentityFile& identity);

// A fresh random 63-bit id, never 0.
raft::NodeId make_node_id();
wire::ClusterId make_cluster_id();

// Creates the directory if need be and takes its lock file for the life of the object.
class DataDirLock {
 public:
  // IO: cannot be created or written; BUSY: another process has it.
  static Result<DataDirLock> acquire(const std::string& data_dir);
  DataDirLock(DataDirLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DataDirLock& operator=(DataDirLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  DataDirLock() = default;
  ~DataDirLock();

 private:
  explicit DataDirLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace kvstore::node::runtime
