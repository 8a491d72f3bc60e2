// A cluster whose disks, network, clocks and processes a test can break: what the machine allows of
// it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "faults/disk.hpp"
#include "faults/network.hpp"
#include "support/cluster.hpp"
#include "support/io_faults/io_faults.hpp"

namespace kvstore::test {

struct FaultClusterOptions {
  std::vector<std::string> engines;  // one node each
  bool network = true;
  uint64_t disk_bytes = 0;                          // 0: plain directories
  uint64_t disk_reserve_bytes = uint64_t{8} << 20;  // of disks of their own
  Flags settings = {};                              // "--set" of every node
};

class FaultCluster {
 public:
  // Boots the nodes.
  FaultCluster(const std::string& case_name, const FaultClusterOptions& options);
  // Heals everything first.  Data of a failed test stay with its logs, taken off their disks.
  ~FaultCluster();

  Cluster& cluster() { return cluster_; }
  bool has_network() const { return network_ != nullptr; }
  Network& network() { return *network_; }
  Node& node(size_t i) { return cluster_[i]; }
  size_t size() const { return faults_.size(); }
  size_t majority() const { return size() / 2 + 1; }
  IoFaults& io(size_t i) { return *faults_.at(i); }
  bool has_disks() const { return !disks_.empty(); }
  LoopDisk& disk(size_t i) { return *disks_.at(i); }

  size_t index_of(const Node& node);
  // Who says that it leads, if anybody says so soon.
  std::optional<size_t> find_leader();

  // The power of these nodes goes at one instant.
  void cut_power(const std::vector<size_t>& nodes);
  void restore_power(const std::vector<size_t>& nodes);
  // This node may end by itself until it is next started: its disk fails.  Others may not.
  void allow_end(size_t i) { may_end_[i] = true; }
  // Ends all faults; starts what does not run.  A failed check when a node crashed, or ended
  // without a reason.
  void heal();
  // heal(), and every node has everything.
  void settle();

 private:
  void start_again(size_t i);

  Cluster cluster_;
  std::vector<std::unique_ptr<IoFaults>> faults_;
  std::vector<std::unique_ptr<LoopDisk>> disks_;
  std::vector<bool> without_power_, may_end_;
  std::unique_ptr<Network> network_;
};

}  // namespace kvstore::test
