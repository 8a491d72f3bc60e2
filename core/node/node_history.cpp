// Giving up old history: by itself on the leader, and by the verb admin.compact.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "node/json_fields.hpp"
#include "node/node.hpp"

namespace kvstore::node {
namespace {

constexpr uint64_t kCompactDeadlineMs = 60'000;

}  // namespace

HistoryState Node::history_state() const {
  return {applied_.revision, applied_.newest_time_ms, applied_.compacted_revision,
          applied_.oldest_change, applied_.history_bytes};
}

// One command at a time: the next one is due when this one was applied here.
void Node::maybe_compact_history() {
  if (compaction_proposed_ || draining_ || !leads() || !raft_->leader_ready()) return;
  std::optional<kv::Compact> compact = retention_.due(ports_.clock->wall_ms());
  if (!compact) return;
  compaction_proposed_ = true;
  propose_internal(*compact, ports_.clock->now_ms() + kCompactDeadlineMs,
                   [this](ProposalOutcome&&) { compaction_proposed_ = false; });
}

void Node::control_compact(ControlPtr control) {
  JsonFields args(control->json);
  const uint64_t revision = args.number("revision", 0);
  if (!args.error().empty() || revision == 0) {
    control->finish(Code::kInvalid,
                    args.error().empty() ? "'revision' is required and must be a positive integer"
                                         : args.error(),
                    nlohmann::json{{"code", "invalid_argument"}}.dump());
    return;
  }
  const uint64_t deadline_ms = control->deadline_ms;
  const uint64_t number = hold_call(std::move(control));
  auto done = [this, number, revision](ProposalOutcome&& outcome) {
    ControlPtr call = take_call(number);
    if (!call) return;
    Control& asked = *call;
    if (outcome.code == Code::kInvalid) {
      asked.finish(outcome.code, outcome.message,
                   nlohmann::json{{"code", "future_revision"}}.dump());
    } else if (outcome.code != Code::kOk) {
      asked.finish(outcome.code, outcome.message);
    } else {
      // What was given up before may not be reported yet.
      const kv::OpResult& removed = outcome.result.ops.front();
      asked.finish(Code::kOk, {},
                   nlohmann::ordered_json{
                       {"compacted_revision", std::max(applied_.compacted_revision, revision)},
                       {"revision", outcome.result.revision},
                       {"removed", removed.count},
                       {"more", removed.more}}
                       .dump());
    }
  };
  propose_internal(kv::Compact{revision, kv::kCompactChangesMax}, deadline_ms, std::move(done));
}

}  // namespace kvstore::node
