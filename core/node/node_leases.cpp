// Leases: their end, decided by the leader's clock, and the verbs lease.*.
//
// A keep-alive is answered after a read round: the round shows that no other node led after the
// question came, so a later leader gives the lease its full time from then on, and an end that was
// proposed before is applied by then.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/mutation.hpp"
#include "kv/command_codec.hpp"
#include "kv/validate.hpp"
#include "node/json_bytes.hpp"
#include "node/json_fields.hpp"
#include "node/node.hpp"

namespace kvstore::node {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kEndDeadlineMs = 60'000;
// Commands under way that end leases, each with up to kLeaseEndMax of them and kLeaseEndKeysMax
// keys.  Two keep the apply thread busy without a pause; a write waits for two of them at most.
constexpr uint64_t kEndsUnderWayMax = 2;
constexpr uint64_t kListMax = 1'000;
constexpr uint64_t kKeysMax = 1'000;

std::string code_json(const char* code) {
  return nlohmann::json{{"code", code}}.dump();
}

// The code of the document that goes with a refusal; null: none.
const char* refusal_code(Code code) {
  switch (code) {
    case Code::kNotFound:
      return "lease_not_found";
    case Code::kConflict:
      return "lease_exists";
    case Code::kInvalid:
      return "invalid_argument";
    default:
      return nullptr;
  }
}

// The lease's id among the arguments.
Result<uint64_t> required_id(const Control& control) {
  JsonFields args(control.json);
  const uint64_t id = args.number("id", 0);
  if (!args.error().empty()) return Status(Code::kInvalid, args.error());
  if (id == 0 || id > kv::kLeaseIdMax)
    return Status(Code::kInvalid, fmt::format("'id' must be in 1..{}", kv::kLeaseIdMax));
  return id;
}

ordered_json to_json(const LeaseClock::Lease& lease) {
  return {{"id", lease.id}, {"ttl_ms", lease.ttl_ms}, {"remaining_ms", lease.remaining_ms}};
}

}  // namespace

void Node::apply_leases(const kv::LeaseChanges& changes) {
  lease_clock_.advance(ports_.clock->now_ms());
  lease_clock_.apply(changes);
}

// Once for each term in which this node leads.
void Node::maybe_begin_leases() {
  if (!leads() || leases_led_in_ == raft_->term()) return;
  leases_led_in_ = raft_->term();
  lease_clock_.advance(ports_.clock->now_ms());
  lease_clock_.begin_leading();
}

// On each tick, and whenever something was applied: the next piece of a lease with many keys need
// not wait for a tick.
void Node::maybe_end_leases(uint64_t now_ms) {
  maybe_begin_leases();
  lease_clock_.advance(now_ms);
  if (!leads() || !raft_->leader_ready() || draining_) return;
  while (lease_ends_under_way_ < kEndsUnderWayMax) {
    std::vector<kv::LeaseRef> due = lease_clock_.take_due(kv::kLeaseEndMax);
    if (due.empty()) return;
    end_leases(std::move(due), now_ms + kEndDeadlineMs);
  }
}

void Node::end_leases(std::vector<kv::LeaseRef> due, uint64_t deadline_ms) {
  ++lease_ends_under_way_;
  const kv::Command command = kv::LeaseEnd{due};
  propose_internal(command, deadline_ms,
                   [this, due = std::move(due), term = leases_led_in_](ProposalOutcome&& outcome) {
                     --lease_ends_under_way_;
                     on_end_answered(due, term, outcome);
                   });
}

void Node::on_end_answered(const std::vector<kv::LeaseRef>& due, raft::Term term,
                           const ProposalOutcome& outcome) {
  // What was applied is reported by the state; what may still be applied keeps its
  // leases from living on.
  const bool applied = outcome.at.index != raft::Index{};
  if (!applied && outcome.committed == Committed::kNo && term == leases_led_in_)
    lease_clock_.end_not_proposed(due);
  // What was refused waits for the next tick.
  if (outcome.code == Code::kOk) maybe_end_leases(ports_.clock->now_ms());
}

// `done` runs on the executor.
void Node::propose_internal(const kv::Command& command, uint64_t deadline_ms,
                            std::function<void(ProposalOutcome&&)> done) {
  auto proposal = std::make_unique<Proposal>();
  proposal->command = kv::encode_command(command);
  proposal->deadline_ms = deadline_ms;
  proposal->may_forward = false;
  proposal->done = Completion<ProposalOutcome>([executor = ports_.executor,
                                                done = std::move(done)](ProposalOutcome&& outcome) {
    // It ends on the apply thread.
    executor->post([done, outcome = std::move(outcome)]() mutable { done(std::move(outcome)); });
  });
  std::vector<ProposalPtr> one;
  one.push_back(std::move(proposal));
  propose_local(std::move(one));
}

// ---- calls that wait for a read round or an entry; a stop ends what is left

uint64_t Node::hold_call(ControlPtr control) {
  held_calls_.emplace(++last_held_call_, std::move(control));
  return last_held_call_;
}

ControlPtr Node::take_call(uint64_t number) {
  auto it = held_calls_.find(number);
  if (it == held_calls_.end()) return nullptr;
  ControlPtr control = std::move(it->second);
  held_calls_.erase(it);
  return control;
}

void Node::fail_held_calls(Code code, const std::string& message) {
  for (auto& [number, control] : std::exchange(held_calls_, {})) control->finish(code, message);
}

// Calls `serve` once this node is known to have led after the call came, with everything applied
// that was committed before.
void Node::confirm_leading(ControlPtr control, void (Node::*serve)(ControlPtr)) {
  auto read = std::make_unique<Read>();
  read->deadline_ms = control->deadline_ms;
  const uint64_t number = hold_call(std::move(control));
  read->done = Completion<ReadOutcome>([this, number, serve](ReadOutcome&& outcome) {
    ports_.executor->post([this, number, serve, outcome] {
      ControlPtr call = take_call(number);
      if (!call) return;
      if (outcome.code != Code::kOk) {
        call->finish(outcome.code, outcome.message);
      } else if (!leads()) {
        serve_elsewhere(std::move(call));
      } else {
        maybe_begin_leases();
        lease_clock_.advance(ports_.clock->now_ms());
        (this->*serve)(std::move(call));
      }
    });
  });
  reads_.add(std::move(read), applied_.revision);
}

// A call that certainly had no effect, since this node does not lead any more or hands over.
void Node::serve_elsewhere(ControlPtr call) {
  if (call->may_forward)
    forwards_.wait_for_leader(std::move(call));
  else
    call->finish(Code::kNotLeader, "this node is not the leader");
}

// Ends a call that was not done.
void Node::refuse_lease_call(ControlPtr control, Code code, const std::string& message) {
  LeaseRefusals& refusals = counters_.lease_refusals;
  refusals.not_found += code == Code::kNotFound ? 1 : 0;
  refusals.exists += code == Code::kConflict ? 1 : 0;
  refusals.invalid += code == Code::kInvalid ? 1 : 0;
  refusals.too_many += kv::is_too_many_leases(code, message) ? 1 : 0;
  const char* name = refusal_code(code);
  control->finish(code, message, name != nullptr ? code_json(name) : "");
}

void Node::execute_lease(ControlPtr control) {
  if (control->verb == "lease.grant") {
    control_lease_grant(std::move(control));
  } else if (control->verb == "lease.revoke") {
    control_lease_revoke(std::move(control));
  } else if (control->verb == "lease.list") {
    confirm_leading(std::move(control), &Node::control_lease_list);
  } else if (control->verb == "lease.get") {
    confirm_leading(std::move(control), &Node::control_lease_get);
  } else if (control->verb != "lease.keepalive") {
    control->finish(Code::kUnsupported, "unknown verb '" + control->verb + "'");
  } else if (KVS_MUTATED(kKeepAliveUnconfirmed)) {
    control_lease_keepalive(std::move(control));
  } else {
    confirm_leading(std::move(control), &Node::control_lease_keepalive);
  }
}

// A number that hardly any other lease has; the state machine refuses one that is taken.
uint64_t Node::choose_lease_id() {
  lease_seed_ += 0x9e3779b97f4a7c15u;
  uint64_t x = lease_seed_;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  x = (x ^ x >> 31) & kv::kLeaseIdMax;
  return x == 0 ? choose_lease_id() : x;
}

void Node::control_lease_grant(ControlPtr control) {
  JsonFields args(control->json);
  const uint64_t wanted = args.number("id", 0);
  const uint64_t ttl_ms = args.number("ttl_ms", 0);
  Status valid =
      args.error().empty() ? kv::validate_ttl(ttl_ms) : Status(Code::kInvalid, args.error());
  if (valid && wanted > kv::kLeaseIdMax)
    valid = Status(Code::kInvalid, fmt::format("'id' must be in 1..{}", kv::kLeaseIdMax));
  if (!valid) return refuse_lease_call(std::move(control), valid.code(), valid.message());
  const uint64_t id = wanted != 0 ? wanted : choose_lease_id();
  const uint64_t deadline_ms = control->deadline_ms;
  const uint64_t number = hold_call(std::move(control));
  propose_internal(
      kv::LeaseGrant{id, ttl_ms}, deadline_ms,
      [this, number, id, ttl_ms](ProposalOutcome&& outcome) {
        ControlPtr call = take_call(number);
        if (!call) return;
        if (outcome.code == Code::kNotLeader) {
          serve_elsewhere(std::move(call));
        } else if (outcome.code != Code::kOk) {
          refuse_lease_call(std::move(call), outcome.code, outcome.message);
        } else {
          ++counters_.leases_granted;
          call->finish(Code::kOk, {}, ordered_json{{"id", id}, {"ttl_ms", ttl_ms}}.dump());
        }
      });
}

void Node::control_lease_revoke(ControlPtr control) {
  const Result<uint64_t> id = required_id(*control);
  if (!id) return refuse_lease_call(std::move(control), id.status().code(), id.status().message());
  lease_clock_.hold(*id);
  revoke_lease(hold_call(std::move(control)), *id, 0);
}

// Proposes the end again until no key is left.
void Node::revoke_lease(uint64_t number, uint64_t id, uint64_t deleted) {
  const uint64_t deadline_ms = held_calls_.at(number)->deadline_ms;
  auto done = [this, number, id, deleted](ProposalOutcome&& outcome) {
    const bool waits = held_calls_.count(number) != 0;
    const bool ok = outcome.code == Code::kOk;
    const uint64_t count = deleted + (ok ? outcome.result.ops.front().count : 0);
    if (waits && ok && outcome.result.ops.front().more) return revoke_lease(number, id, count);
    // What is left of it ends like a lease whose time is over.
    lease_clock_.release(id);
    ControlPtr call = take_call(number);
    if (!call) return;
    // Once it was begun the leader ends the lease by itself, which may come first.
    if (ok || (deleted != 0 && outcome.code == Code::kNotFound)) {
      ++counters_.leases_revoked;
      call->finish(Code::kOk, {},
                   ordered_json{{"id", id}, {"revoked", true}, {"deleted", count}}.dump());
    } else if (outcome.code == Code::kNotLeader && deleted == 0) {
      serve_elsewhere(std::move(call));
    } else {
      refuse_lease_call(std::move(call), outcome.code, outcome.message);
    }
  };
  propose_internal(kv::LeaseEnd{{{id, 0}}}, deadline_ms, std::move(done));
}

void Node::control_lease_keepalive(ControlPtr control) {
  const Result<uint64_t> id = required_id(*control);
  Status status = id.status();
  if (status && !lease_clock_.renew(*id)) status = kv::lease_not_found(*id);
  if (!status) return refuse_lease_call(std::move(control), status.code(), status.message());
  ++counters_.lease_keepalives;
  control->finish(Code::kOk, {},
                  ordered_json{{"id", *id}, {"ttl_ms", lease_clock_.find(*id)->ttl_ms}}.dump());
}

void Node::control_lease_list(ControlPtr control) {
  JsonFields args(control->json);
  const uint64_t after = args.number("after", 0);
  const uint64_t limit = args.number("limit", kListMax);
  if (!args.error().empty() || limit == 0 || limit > kListMax) {
    return refuse_lease_call(
        std::move(control), Code::kInvalid,
        !args.error().empty() ? args.error() : fmt::format("'limit' must be in 1..{}", kListMax));
  }
  std::vector<LeaseClock::Lease> leases = lease_clock_.list(after, limit + 1);
  const bool more = leases.size() > limit;
  if (more) leases.pop_back();
  ordered_json out{{"leases", ordered_json::array()}, {"more", more}};
  for (const LeaseClock::Lease& lease : leases) out["leases"].push_back(to_json(lease));
  control->finish(Code::kOk, {}, out.dump());
}

void Node::control_lease_get(ControlPtr control) {
  const Result<uint64_t> wanted = required_id(*control);
  Status status = wanted.status();
  const uint64_t id = wanted ? *wanted : 0;
  const std::optional<LeaseClock::Lease> lease = lease_clock_.find(id);
  if (status && (!lease || lease->ends)) status = kv::lease_not_found(id);
  if (!status) return refuse_lease_call(std::move(control), status.code(), status.message());
  const uint64_t number = hold_call(std::move(control));
  ports_.state->read_lease_keys(id, kKeysMax, [this, number, lease](Result<kv::LeaseKeys> keys) {
    ports_.executor->post([this, number, lease, keys = std::move(keys)] {
      ControlPtr call = take_call(number);
      if (!call) return;
      if (!keys) {
        call->finish(keys.status().code(), keys.status().message());
        return;
      }
      ordered_json out = to_json(*lease);
      out["keys"] = ordered_json::array();
      for (const std::string& key : keys->keys) out["keys"].push_back(key_json(key));
      out["more_keys"] = keys->more;
      call->finish(Code::kOk, {}, out.dump());
    });
  });
}

}  // namespace kvstore::node
