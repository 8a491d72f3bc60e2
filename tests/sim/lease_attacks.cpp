#include "sim/lease_attacks.hpp"

#include <optional>

namespace kvstore::sim {

void LeaseAttacks::act() {
  if (!cluster_->world.chance(12)) return;
  cluster_->network.heal();
  cluster_->run_for(400 * kMs);
  const std::optional<size_t> leader = cluster_->leader();
  if (!leader || cluster_->size() < 3) return;
  for (size_t i = 0; i < cluster_->size(); ++i) {
    if (!(*cluster_)[i].running() || (*cluster_)[i].paused()) return;
  }
  coverage_->count(Fault::kLeaseAttack);
  if (cluster_->world.chance(50)) {
    pause_with_answers_on_the_way(*leader);
  } else {
    hand_over_and_cut(*leader);
  }
  cluster_->network.heal();
}

size_t LeaseAttacks::other_than(size_t leader) {
  return (leader + 1 + cluster_->world.below(cluster_->size() - 1)) % cluster_->size();
}

// When it goes on, the answers that it finds are older than its successor's election.
void LeaseAttacks::pause_with_answers_on_the_way(size_t leader) {
  SimNode& node = (*cluster_)[leader];
  const uint64_t life = node.life();
  node.pause();
  cluster_->run_for(100 * kMs);
  cluster_->isolate(leader);
  cluster_->run_for(cluster_->world.between(1'500, 2'500) * kMs);
  if (node.life() == life && node.paused()) node.resume();
  cluster_->run_for(700 * kMs);
}

// The leader does not hear of the election that it asked for.
void LeaseAttacks::hand_over_and_cut(size_t leader) {
  const size_t next = other_than(leader);
  cluster_->control(leader, "cluster.transfer",
                    R"({"node_id":")" + (*cluster_)[next].name() + R"("})");
  for (size_t i = 0; i < cluster_->size(); ++i) {
    if (i != leader)
      cluster_->network.cut_one_way((*cluster_)[i].address(), (*cluster_)[leader].address());
  }
  cluster_->run_for(800 * kMs);
}

}  // namespace kvstore::sim
