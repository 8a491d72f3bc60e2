// Making the own state durable at once, and the log short: the verb admin.snapshot.
//
// The state plugin's durable state is what a node starts from, so a sync of it is the snapshot, and
// what the log holds up to there is not needed to start.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "node/json_fields.hpp"
#include "node/node.hpp"

namespace kvstore::node {

using nlohmann::ordered_json;

void Node::control_snapshot(ControlPtr control) {
  const JsonFields args(control->json);
  if (!args.error().empty()) {
    control->finish(Code::kInvalid, args.error(),
                    ordered_json{{"code", "invalid_argument"}}.dump());
    return;
  }
  const auto term = raft_->log().term_at(applied_.index);
  if (applied_.index == raft::Index{0} || !term) {
    control->finish(Code::kUnreachable, "this node has no state of a cluster yet");
    return;
  }
  SnapshotCall call;
  call.at = {*term, applied_.index};
  call.revision = applied_.revision;
  call.deadline_ms = control->deadline_ms;
  call.number = hold_call(std::move(control));
  snapshot_calls_.push_back(call);
  settle_snapshot_calls();
}

// Answers those whose state is durable; for the others a sync that began after they came is needed.
void Node::settle_snapshot_calls() {
  const auto waits = [this](const SnapshotCall& call) {
    return call.at.index > state_durable_.index;
  };
  const auto done = std::stable_partition(snapshot_calls_.begin(), snapshot_calls_.end(), waits);
  const std::vector<SnapshotCall> settled(done, snapshot_calls_.end());
  snapshot_calls_.erase(done, snapshot_calls_.end());
  if (!settled.empty()) compact_log(/*keep_tail=*/false);
  for (const SnapshotCall& call : settled) {
    ControlPtr control = take_call(call.number);
    if (!control) continue;
    control->finish(Code::kOk, {},
                    ordered_json{{"index", call.at.index.value},
                                 {"term", call.at.term.value},
                                 {"revision", call.revision},
                                 {"first_index", raft_->log().base().index.value + 1}}
                        .dump());
  }
  if (!snapshot_calls_.empty()) sync_state(ports_.clock->now_ms());
}

void Node::expire_snapshot_calls(uint64_t now_ms) {
  std::erase_if(snapshot_calls_, [&](const SnapshotCall& call) {
    if (call.deadline_ms > now_ms) return false;
    if (ControlPtr control = take_call(call.number)) {
      control->finish(Code::kTimeout, "the state was not durable in time");
    }
    return true;
  });
}

}  // namespace kvstore::node
