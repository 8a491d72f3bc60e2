// Injects faults, decided by the world's randomness and limited to what a cluster must survive.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/checker.hpp"
#include "sim/faults.hpp"
#include "sim/plan.hpp"

namespace kvstore::sim {

// What must be survivable: any number of crashes, power cuts, pauses, partitions and errors; of
// whole disks one at a time, in clusters of three voters or more, and only in runs whose membership
// is not changed by anything else.
class Nemesis {
 public:
  Nemesis(SimCluster* cluster, Checker* checker, const Plan& plan, Coverage* coverage);

  // One more fault, or the end of one, or nothing.
  void act();
  // Ends all faults and starts every node that has a disk.
  void heal();
  // While healing: brings membership to an end; whether nothing is left to do.
  bool settle();

  // Shows what it does.
  std::function<void(const std::string&)> on_act;

 private:
  void say(Fault fault, const std::string& what);
  size_t some_node() { return world_.below(cluster_->size()); }
  bool chance(uint64_t percent) { return world_.chance(percent); }
  void watch_installs();

  void act_on_process(size_t i);
  void act_on_power(size_t i);
  void act_on_network(size_t i);
  void bring_back_without_successor(size_t isolated);
  void act_on_disk(size_t i);
  void fill_disk(SimNode* node);
  void act_on_clock(size_t i);
  void act_on_membership(size_t i);
  void add_or_promote(size_t i);
  void remove_some(size_t i);
  void replace_removed(size_t i);
  void lose_disk(size_t i);
  void start(size_t i);
  void cut_power(size_t i);
  void pause(size_t i);
  void split();
  bool is_member(size_t i);
  bool known_to_any(size_t wanted);

  SimCluster* cluster_;
  Checker* checker_;
  World& world_;
  const Plan& plan_;
  Coverage* coverage_;
  bool healed_ = false;
  std::vector<ControlCallPtr> calls_;
  std::optional<size_t> lost_;  // its disk is gone and it was not replaced yet
  enum class Rescue { kNone, kRemove, kAdd } rescue_ = Rescue::kNone;
  ControlCallPtr rescue_call_;
  struct Removal {
    size_t node;
    ControlCallPtr call;
  };
  std::vector<Removal> removals_;
};

}  // namespace kvstore::sim
