// Reads: confirmed by the leader, by a lease, or as old as the caller allows.
#include <utility>

#include <fmt/format.h>

#include "node/node.hpp"

namespace kvstore::node {

void Node::read(std::vector<ReadPtr> reads) {
  counters_.reads += reads.size();
  Status refused = refusal();
  for (ReadPtr& r : reads) {
    if (!refused) {
      r->fail(refused.code(), refused.message());
    } else if (r->consistency == Consistency::kStale) {
      read_stale(std::move(r));
    } else if (r->consistency == Consistency::kLease && lease_holds(ports_.clock->now_ms())) {
      ++counters_.lease_reads;
      reads_.add_confirmed(std::move(r), raft_->commit_index(), raft_->term());
    } else if (!r->may_forward && !leads()) {
      r->fail(Code::kNotLeader, "this node is not the leader");
    } else {
      reads_.add(std::move(r), applied_.revision);
    }
  }
}

void Node::read_stale(ReadPtr read) {
  if (read->max_staleness_ms != 0) {
    const std::optional<uint64_t> age_ms = staleness_ms(ports_.clock->now_ms());
    if (!age_ms || *age_ms > read->max_staleness_ms) {
      ++counters_.too_stale_reads;
      read->fail(Code::kUnreachable,
                 age_ms ? fmt::format("this node's state may be {} ms old, more than the {} ms "
                                      "allowed",
                                      *age_ms, read->max_staleness_ms)
                        : "this node does not know yet how old its state is",
                 "too_stale");
      return;
    }
  }
  reads_.add(std::move(read), applied_.revision);
}

bool Node::lease_holds(uint64_t now_ms) const {
  return now_ms < lease_.until_ms();
}

std::optional<uint64_t> Node::staleness_ms(uint64_t now_ms) const {
  if (lease_holds(now_ms) && applied_.index >= raft_->commit_index()) return 0;
  if (freshness_.fresh_ms() == 0) return std::nullopt;
  return now_ms - freshness_.fresh_ms();
}

void Node::ask_reads() {
  if (!reads_.has_unasked() || !raft_->leader()) return;
  uint64_t token = ++last_token_;
  reads_.ask(token, ports_.clock->now_ms());
  step(raft::ReadIndexRequest{token});
}

// Before anything of this turn is told to others: who learns of a commit index, or is told to
// campaign, may act on it at once.
void Node::publish_local_reads() {
  LeaderSight sight;
  sight.leads = leads();
  sight.term = raft_->term();
  if (sight.leads) {
    sight.ready = raft_->leader_ready();
    sight.read_round = raft_->read_round();
    sight.confirmed_round = raft_->confirmed_round();
    sight.commit = raft_->commit_index();
    sight.lease = raft_->lease();
  }
  lease_.look(sight, ports_.clock->now_ms());
  if (lease_.confirmed())
    freshness_.on_known(lease_.confirmed()->at_ms, lease_.confirmed()->commit);
  freshness_.on_applied(applied_.index);
  ports_.observer->on_local_reads(
      {lease_.until_ms(), raft_->commit_index(), freshness_.fresh_ms()});
}

}  // namespace kvstore::node
