#include "sim/plan.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace kvstore::sim {
namespace {

// Small clusters most of the time: they lose their quorum soonest.
uint64_t draw_voters(World& world) {
  constexpr uint64_t kChoices[] = {1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 5, 6, 7};
  return kChoices[world.below(std::size(kChoices))];
}

void draw_families(World& world, Plan* plan) {
  plan->crashes = world.chance(60);
  plan->power_cuts = world.chance(60);
  plan->partitions = world.chance(60);
  plan->pauses = world.chance(35);
  plan->disks = world.chance(40);
  plan->clocks = world.chance(25);
  const uint64_t dice = world.below(100);
  plan->membership = dice < 35;
  plan->losses = dice >= 90 && plan->voters >= 3;
}

void draw_options(World& world, SimConfig* config) {
  node::Options& options = config->options;
  options.trailing_entries = world.below(world.chance(50) ? 8 : 40);
  options.trailing_bytes = world.chance(80) ? world.below(1'000) : 256 << 20;
  options.sync_interval_ms = world.between(30, 600);
  options.sync_bytes = world.chance(30) ? 300 : 64 << 20;
  options.snapshot_hold_ms = world.chance(30) ? 100 : 600'000;
  options.upload_idle_ms = world.chance(30) ? 500 : 600'000;
  options.forwarded_requests_max = world.chance(20) ? 2 : 8192;
  options.raft.append_bytes_max = world.chance(40) ? 200 : 1 << 20;
  options.raft.inflight_messages_max = 1 + static_cast<uint32_t>(world.below(16));
  options.raft.inflight_bytes_max = world.chance(30) ? 500 : 16 << 20;
  options.raft.uncommitted_bytes_max = world.chance(20) ? 800 : 256 << 20;
  options.raft.entry_cache_bytes = world.chance(50) ? 1'000 : 64 << 20;
  options.raft.apply_bytes_max = world.chance(50) ? 500 : 32 << 20;
  config->tick_us = world.between(20, 30) * kMs;
  if (world.chance(20)) config->clock_percent = world.between(70, 140);
  config->state_loss = world.chance(50) ? StateLoss::kToSync : StateLoss::kAnyPrefix;
}

void draw_history(World& world, node::HistoryLimits* history) {
  history->keep_revisions = world.chance(60) ? world.below(40) : 10'000;
  history->keep_ms = world.chance(60) ? world.below(2'000) : 3'600'000;
  if (world.chance(25)) history->bytes_max = 4'000;
}

void draw_network(World& world, NetworkFaults* faults) {
  faults->delay_max_us = world.between(kMs, 40 * kMs);
  faults->drop_percent = world.chance(40) ? world.below(6) : 0;
  faults->duplicate_percent = world.chance(50) ? world.below(20) : 0;
  faults->reorder_percent = world.chance(50) ? world.below(60) : 0;
  faults->stream_us_per_kib = world.chance(40) ? world.between(50, 800) * kMs : 5;
  faults->stream_flip_percent = world.chance(20) ? 30 : 0;
  if (world.chance(25)) faults->lane_bytes_max = world.between(100, 2'000);
}

}  // namespace

// Every member promises, some with clocks that run apart by nearly what is allowed, and answers may
// take longer than a lease lasts.
void draw_leases(World& world, SimCluster* cluster, NetworkFaults* faults) {
  for (size_t i = 0; i < cluster->size(); ++i) {
    SimConfig& config = (*cluster)[i].config;
    config.clock_percent = world.between(96, 104);
    // Ticks come up to 2% early, and the first of them at once.
    const raft::Options& raft = config.options.raft;
    config.options.raft.vote_promise_ms =
        (raft.election_ticks - 2) * config.tick_us / kMs * 98 / 100;
  }
  if (world.chance(40)) faults->delay_max_us = world.between(100, 400) * kMs;
}

Plan Plan::draw(SimCluster* cluster) {
  World& world = cluster->world;
  Plan plan;
  plan.voters = draw_voters(world);
  plan.steps = world.between(40, 120);
  plan.step_max_us = world.between(20, 200) * kMs;
  plan.clients = world.between(2, 6);
  plan.client_pause_us = world.between(5, 200) * kMs;
  draw_families(world, &plan);
  draw_network(world, &plan.network);
  plan.disk.write_max_us = world.between(kMs, 30 * kMs);
  plan.disk.apply_max_us = world.between(kMs, 30 * kMs);
  plan.disk.sync_max_us = world.between(kMs, 100 * kMs);
  for (uint64_t i = 0; i < plan.voters; ++i)
    draw_options(world, &(*cluster)[cluster->add_node()].config);
  for (uint64_t i = 0; i < plan.voters; ++i)
    draw_history(world, &(*cluster)[i].config.options.history);
  plan.lease_clients = world.chance(50) ? world.between(1, 4) : 0;
  plan.leases = world.chance(35);
  if (plan.leases) draw_leases(world, cluster, &plan.network);
  return plan;
}

std::string Plan::describe() const {
  std::string families;
  auto add = [&families](bool has, const char* name) {
    if (has) families += std::string(" ") + name;
  };
  add(crashes, "crashes");
  add(power_cuts, "power-cuts");
  add(partitions, "partitions");
  add(pauses, "pauses");
  add(disks, "disks");
  add(clocks, "clocks");
  add(membership, "membership");
  add(losses, "losses");
  add(leases, "leases");
  return fmt::format(
      "voters={} clients={} lease clients={} steps={} delay<={}us drop={}% duplicate={}% "
      "reorder={}% lane={}B "
      "write<={}us families:{}",
      voters, clients, lease_clients, steps, network.delay_max_us, network.drop_percent,
      network.duplicate_percent, network.reorder_percent, network.lane_bytes_max, disk.write_max_us,
      families.empty() ? " none" : families);
}

}  // namespace kvstore::sim
