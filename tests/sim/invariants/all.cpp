#include "sim/invariants.hpp"

namespace kvstore::sim {

std::vector<std::unique_ptr<Invariant>> all_invariants() {
  std::vector<std::unique_ptr<Invariant>> all;
  for (auto make : {election_safety,
                    leader_append_only,
                    log_matching,
                    leader_completeness,
                    state_machine_safety,
                    durable_quorum,
                    monotonic_indexes,
                    one_vote_per_term,
                    durable_before_sent,
                    one_change_at_a_time,
                    deterministic_state,
                    one_past,
                    acknowledged_is_committed,
                    fresh_reads,
                    bounded_staleness,
                    bounded_queues,
                    held_entries_stay,
                    configuration_follows_log,
                    nobody_reverted,
                    watchers_miss_nothing}) {
    all.push_back(make());
  }
  return all;
}

}  // namespace kvstore::sim
