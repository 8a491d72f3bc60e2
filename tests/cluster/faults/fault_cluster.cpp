#include "faults/fault_cluster.hpp"

#include <doctest/doctest.h>
#include <signal.h>

namespace kvstore::test {

FaultCluster::FaultCluster(const std::string& case_name, const FaultClusterOptions& options)
    : cluster_(case_name) {
  if (options.network) network_ = make_network(cluster_.dir());
  for (size_t i = 0; i < options.engines.size(); ++i) {
    Node& node = cluster_.make_node(options.engines[i]);
    if (network_) network_->attach(node);
    if (options.disk_bytes > 0) {
      disks_.push_back(
          std::make_unique<LoopDisk>(cluster_.dir(), "disk-" + node.name(), options.disk_bytes));
      node.set_data_dir(disks_.back()->path() / "data");
      node.set("limits.disk_reserve_bytes=" + std::to_string(options.disk_reserve_bytes));
    }
    faults_.push_back(std::make_unique<IoFaults>(cluster_.dir() / (node.name() + ".orders")));
    faults_.back()->aim_at(node.data_dir());
    node.set_environment("LD_PRELOAD", IoFaults::library());
    node.set_environment(KVS_IO_FAULTS_ENV, faults_.back()->file());
    // A sanitizer's runtime accepts to be loaded second.
    node.set_environment("ASAN_OPTIONS", "verify_asan_link_order=0");
    for (const std::string& setting : options.settings) node.set(setting);
  }
  without_power_.assign(size(), false);
  may_end_.assign(size(), false);
  cluster_.boot();
}

FaultCluster::~FaultCluster() {
  for (size_t i = 0; i < size(); ++i) {
    faults_[i]->clear();
    if (has_disks()) disk(i).thaw();
    node(i).kill();
    if (!has_disks() || !test_failed()) continue;
    std::error_code ignored;
    std::filesystem::copy(disk(i).path(), cluster_.dir() / node(i).name(),
                          std::filesystem::copy_options::recursive, ignored);
  }
}

size_t FaultCluster::index_of(const Node& wanted) {
  size_t i = 0;
  while (&cluster_[i] != &wanted) ++i;
  return i;
}

std::optional<size_t> FaultCluster::find_leader() {
  for (size_t i = 0; i < size(); ++i) {
    if (!node(i).is_running()) continue;
    const auto status = node(i).client(std::chrono::milliseconds(300)).status();
    if (status && status->leader == node(i).name()) return i;
  }
  return std::nullopt;
}

void FaultCluster::cut_power(const std::vector<size_t>& nodes) {
  // Nobody acts on the errors of a disk whose machine has no power either.
  for (const size_t i : nodes) {
    if (node(i).is_running()) node(i).pause();
  }
  for (const size_t i : nodes) {
    disk(i).cut_power();
    without_power_[i] = true;
  }
  for (const size_t i : nodes) node(i).kill();
}

void FaultCluster::restore_power(const std::vector<size_t>& nodes) {
  for (const size_t i : nodes) {
    if (!without_power_[i]) continue;
    disk(i).restore_power();
    without_power_[i] = false;
  }
}

void FaultCluster::heal() {
  if (network_) network_->heal();
  for (size_t i = 0; i < size(); ++i) {
    faults_[i]->clear();
    if (has_disks()) {
      disk(i).thaw();
      restore_power({i});
      disk(i).free_space();
    }
    if (node(i).is_running()) {
      node(i).resume();
    } else {
      start_again(i);
    }
  }
}

void FaultCluster::start_again(size_t i) {
  const int code = node(i).last_exit();
  CAPTURE(node(i).name());
  CAPTURE(code);
  CHECK((code >= 0 || code == -SIGKILL));
  if (code > 0) CHECK(may_end_[i]);
  may_end_[i] = false;
  node(i).start();
}

void FaultCluster::settle() {
  // A node whose disk failed may need a moment to end.
  heal();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  heal();
  std::vector<Node*> all;
  for (size_t i = 0; i < size(); ++i) all.push_back(&node(i));
  cluster_.wait_caught_up(all);
}

}  // namespace kvstore::test
