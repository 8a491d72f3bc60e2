// The makers of all invariants; one file in invariants/ for each.
#pragma once

#include <memory>

#include "sim/checker.hpp"

namespace kvstore::sim {

std::unique_ptr<Invariant> election_safety();
std::unique_ptr<Invariant> leader_append_only();
std::unique_ptr<Invariant> log_matching();
std::unique_ptr<Invariant> leader_completeness();
std::unique_ptr<Invariant> state_machine_safety();
std::unique_ptr<Invariant> durable_quorum();
std::unique_ptr<Invariant> monotonic_indexes();
std::unique_ptr<Invariant> one_vote_per_term();
std::unique_ptr<Invariant> durable_before_sent();
std::unique_ptr<Invariant> one_change_at_a_time();
std::unique_ptr<Invariant> deterministic_state();
std::unique_ptr<Invariant> one_past();
std::unique_ptr<Invariant> acknowledged_is_committed();
std::unique_ptr<Invariant> fresh_reads();
std::unique_ptr<Invariant> bounded_staleness();
std::unique_ptr<Invariant> bounded_queues();
std::unique_ptr<Invariant> held_entries_stay();
std::unique_ptr<Invariant> configuration_follows_log();
std::unique_ptr<Invariant> nobody_reverted();
std::unique_ptr<Invariant> watchers_miss_nothing();

}  // namespace kvstore::sim
