#include "node/forward_table.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/mutation.hpp"
#include "kv/command_codec.hpp"

namespace kvstore::node {
namespace {

// Ends a request whose effect is unknown.
void abandon(ForwardTable::Request request, const char* message) {
  if (auto* proposal = std::get_if<ProposalPtr>(&request)) {
    (*proposal)->fail(Code::kIndeterminate, message, Committed::kUnknown);
  } else {
    std::get<ControlPtr>(request)->finish(Code::kIndeterminate, message);
  }
}

constexpr const char* kNoLeader = "no leader is known";
constexpr const char* kNoAnswer = "the leader did not answer; the request may still take effect";

}  // namespace

void refuse(ForwardTable::Request request, Code code, const std::string& message) {
  if (auto* proposal = std::get_if<ProposalPtr>(&request)) {
    (*proposal)->fail(code, message, Committed::kNo);
  } else {
    std::get<ControlPtr>(request)->finish(code, message);
  }
}

uint64_t deadline_of(const ForwardTable::Request& request) {
  return std::visit([](const auto& r) { return r->deadline_ms; }, request);
}

ForwardTable::~ForwardTable() {
  fail_all(Code::kCancelled, "the node stops");
}

void ForwardTable::add_sent(uint64_t number, raft::NodeId leader, Request request) {
  sent_.emplace(number, Sent{leader, std::move(request)});
}

ForwardTable::Request ForwardTable::take_back(uint64_t number) {
  auto it = sent_.find(number);
  KVS_ASSERT(it != sent_.end());
  Request request = std::move(it->second.request);
  sent_.erase(it);
  return request;
}

template <typename Ptr>
Ptr ForwardTable::take_answered(raft::NodeId from, uint64_t number) {
  auto it = sent_.find(number);
  if (it == sent_.end() || it->second.leader != from) return nullptr;
  if (!std::holds_alternative<Ptr>(it->second.request)) return nullptr;
  return std::get<Ptr>(take_back(number));
}

void ForwardTable::on_response(raft::NodeId from, wire::ForwardResponse response) {
  ProposalPtr proposal = take_answered<ProposalPtr>(from, response.request);
  if (!proposal) return;
  if (response.code == Code::kNotLeader) {
    waiting_.push_back(std::move(proposal));
    return;
  }
  ProposalOutcome outcome;
  outcome.code = response.code;
  outcome.message = std::move(response.message);
  outcome.at = {{response.term}, {response.index}};
  bool unknown = response.code == Code::kIndeterminate || response.code == Code::kCancelled;
  outcome.committed = unknown ? Committed::kUnknown : Committed::kNo;
  if (response.code == Code::kOk) {
    Result<kv::CommandResult> result = kv::decode_result(response.result.view());
    outcome.committed = Committed::kYes;
    if (result) {
      outcome.result = std::move(*result);
    } else {
      outcome.code = Code::kInternal;
      outcome.message = "the leader's answer is malformed: " + result.status().message();
    }
  }
  proposal->done(std::move(outcome));
}

void ForwardTable::on_response(raft::NodeId from, wire::ControlResponse response) {
  ControlPtr control = take_answered<ControlPtr>(from, response.request);
  if (!control) return;
  if (response.code == Code::kNotLeader) {
    waiting_.push_back(std::move(control));
    return;
  }
  control->finish(response.code, std::move(response.message), std::move(response.json));
}

std::vector<ControlPtr> ForwardTable::take_settled(const Settled& settled) {
  std::vector<ControlPtr> taken;
  for (auto it = sent_.begin(); it != sent_.end();) {
    auto* control = std::get_if<ControlPtr>(&it->second.request);
    if (control == nullptr || !settled(it->second.leader, **control)) {
      ++it;
      continue;
    }
    taken.push_back(std::move(*control));
    it = sent_.erase(it);
  }
  return taken;
}

void ForwardTable::on_disconnected(raft::NodeId leader) {
  std::vector<Request> lost;
  for (auto it = sent_.begin(); it != sent_.end();) {
    if (it->second.leader != leader) {
      ++it;
      continue;
    }
    lost.push_back(std::move(it->second.request));
    it = sent_.erase(it);
  }
  if (KVS_MUTATED(kRetryUnknown)) {
    std::move(lost.begin(), lost.end(), std::back_inserter(waiting_));
    return;
  }
  for (Request& request : lost) {
    abandon(std::move(request),
            "the connection to the leader was lost; the request may still take effect");
  }
}

void ForwardTable::expire(uint64_t now_ms) {
  std::vector<Request> late;
  std::erase_if(waiting_, [&](Request& request) {
    if (deadline_of(request) > now_ms) return false;
    late.push_back(std::move(request));
    return true;
  });
  for (Request& request : late) refuse(std::move(request), Code::kUnreachable, kNoLeader);
  late.clear();
  for (auto it = sent_.begin(); it != sent_.end();) {
    if (deadline_of(it->second.request) > now_ms) {
      ++it;
      continue;
    }
    late.push_back(std::move(it->second.request));
    it = sent_.erase(it);
  }
  for (Request& request : late) abandon(std::move(request), kNoAnswer);
}

void ForwardTable::fail_all(Code code, const char* message) {
  for (Request& request : std::exchange(waiting_, {})) refuse(std::move(request), code, message);
  for (auto& [number, sent] : std::exchange(sent_, {})) abandon(std::move(sent.request), message);
}

}  // namespace kvstore::node
