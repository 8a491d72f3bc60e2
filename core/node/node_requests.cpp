#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "kv/command_codec.hpp"
#include "kv/validate.hpp"
#include "node/node.hpp"
#include "wire/frame.hpp"
#include "wire/peer_codec.hpp"

namespace kvstore::node {
namespace {
// How long after a refused send a waiting request is tried again.
constexpr uint64_t kResubmitPauseMs = 50;

Status check_command(Bytes encoded) {
  Result<kv::DecodedCommand> command = kv::decode_command(encoded);
  if (!command) return command.status();
  const auto* txn = std::get_if<kv::Txn>(&command->command);
  return txn != nullptr ? kv::validate_txn(*txn) : Status::ok();
}
}  // namespace

// Why this node takes no requests at the moment; OK when it does.
Status Node::refusal() const {
  if (failed()) return {Code::kClosed, "this node stopped: " + failure_.message()};
  if (!foreign_.empty()) return {Code::kUnreachable, foreign_};
  if (draining_) return {Code::kClosed, "the node is shutting down"};
  return Status::ok();
}

void Node::submit(std::vector<ProposalPtr> proposals) {
  counters_.proposals += proposals.size();
  if (Status refused = refusal(); !refused) {
    for (ProposalPtr& p : proposals) p->fail(refused.code(), refused.message(), Committed::kNo);
    return;
  }
  if (leads()) {
    propose_local(std::move(proposals));
    return;
  }
  for (ProposalPtr& p : proposals) forward(std::move(p));
}

void Node::propose_local(std::vector<ProposalPtr> proposals) {
  fail_expired(&proposals, ports_.clock->now_ms());
  refuse_growing(&proposals);
  leader_time_ms_ = std::max({leader_time_ms_, ports_.clock->wall_ms(), applied_.newest_time_ms});
  raft::Propose event;
  event.proposals.reserve(proposals.size());
  for (size_t i = 0; i < proposals.size(); ++i) {
    kv::stamp_time(&proposals[i]->command, leader_time_ms_);
    event.proposals.push_back({i, SharedBytes(std::move(proposals[i]->command))});
  }
  // Kept alive so that a refused command can be offered to the next leader; sharing costs no copy.
  std::vector<SharedBytes> commands;
  commands.reserve(proposals.size());
  for (const raft::Proposal& p : event.proposals) commands.push_back(p.data);

  KVS_ASSERT(out_.proposals.empty());
  step(std::move(event));
  for (const raft::ProposeResult& result : std::exchange(out_.proposals, {})) {
    ProposalPtr proposal = std::move(proposals[result.token]);
    if (result.code == Code::kOk) {
      proposals_.add(result.id, std::move(proposal));
    } else if (proposal->may_forward &&
               (result.code == Code::kNotLeader || raft_->transferring())) {
      proposal->command = commands[result.token].view();
      forwards_.wait_for_leader(std::move(proposal));
    } else if (result.code == Code::kBusy && !raft_->transferring()) {
      proposal->fail(Code::kBusy, "too many writes wait to be committed", Committed::kNo);
    } else {
      proposal->fail(Code::kNotLeader, "this node is not the leader", Committed::kNo);
    }
  }
}

void Node::forward(ForwardTable::Request request) {
  bool may_forward = std::visit([](const auto& r) { return r->may_forward; }, request);
  raft::NodeId leader = raft_->leader();
  if (!may_forward) {
    refuse(std::move(request), Code::kNotLeader, "this node is not the leader");
    return;
  }
  uint64_t now_ms = ports_.clock->now_ms();
  uint64_t deadline_ms = deadline_of(request);
  if (!leader || leader == identity_.id || deadline_ms <= now_ms) {
    forwards_.wait_for_leader(std::move(request));
    return;
  }
  uint64_t number = forwards_.next_number();
  std::string frame;
  if (auto* proposal = std::get_if<ProposalPtr>(&request)) {
    wire::ForwardRequest message;
    message.request = number;
    message.timeout_ms = deadline_ms - now_ms;
    message.command = SharedBytes(nullptr, (*proposal)->command);  // borrowed while encoding
    frame = wire::encode(message);
  } else {
    const ControlPtr& control = std::get<ControlPtr>(request);
    frame = wire::encode(
        wire::ControlRequest{number, deadline_ms - now_ms, control->verb, control->json});
  }
  forwards_.add_sent(number, leader, std::move(request));
  send_request(leader, std::move(frame), number);
}

// One message on the lane of requests and their answers.
Status Node::send_frame(raft::NodeId to, std::string frame) {
  std::vector<wire::EncodedMessage> one(1);
  one[0].bytes = frame.size();
  one[0].parts.push_back(SharedBytes(std::move(frame)));
  return ports_.transport->send(to, Lane::kClient, std::move(one));
}

void Node::send_request(raft::NodeId to, std::string frame, uint64_t number) {
  if (send_frame(to, std::move(frame))) {
    ++counters_.forwarded;
    return;
  }
  forwards_.wait_for_leader(forwards_.take_back(number));
  next_resubmit_ms_ = ports_.clock->now_ms() + kResubmitPauseMs;
}

// A node that we take for the leader and that is not: asking it again at once would only turn in
// circles until one of the two knows better.
void Node::pause_after_refusal(raft::NodeId from, Code code) {
  if (code != Code::kNotLeader || from != raft_->leader()) return;
  next_resubmit_ms_ = ports_.clock->now_ms() + kResubmitPauseMs;
}

void Node::resubmit_waiting() {
  if (!forwards_.has_waiting() || !raft_->leader()) return;
  if (leads() && raft_->transferring()) return;
  if (ports_.clock->now_ms() < next_resubmit_ms_) return;
  std::vector<ProposalPtr> proposals;
  for (ForwardTable::Request& request : forwards_.take_waiting()) {
    if (!leads()) {
      forward(std::move(request));
    } else if (auto* proposal = std::get_if<ProposalPtr>(&request)) {
      proposals.push_back(std::move(*proposal));
    } else {
      execute(std::move(std::get<ControlPtr>(request)));
    }
  }
  if (!proposals.empty()) propose_local(std::move(proposals));
}

void Node::on_message(raft::NodeId from, const SharedBytes& payload) {
  if (failed()) return;
  Result<wire::FrameKind> kind = wire::frame_kind(payload.view());
  if (!kind || !accept_cluster_of(from)) {
    ++counters_.messages_dropped;
    return;
  }
  switch (*kind) {
    case wire::FrameKind::kRaft: {
      Result<raft::Message> message = wire::decode_message(payload);
      if (!message || message->from != from || message->to != identity_.id) {
        ++counters_.messages_dropped;
        KVS_LOG(kWarn, "node", "dropped a raft message from={:016x}: {}", from.value,
                message ? "wrong sender or receiver" : message.status().message());
        return;
      }
      if (message->type == raft::MessageType::kHeartbeat)
        freshness_.on_told(message->token, message->match, ports_.clock->now_ms());
      step(raft::MessageReceived{std::move(*message)});
      return;
    }
    case wire::FrameKind::kForwardRequest:
      on_forward_request(from, payload);
      return;
    case wire::FrameKind::kControlRequest:
      on_control_request(from, payload);
      return;
    case wire::FrameKind::kForwardResponse:
      if (auto response = wire::decode_forward_response(payload)) {
        pause_after_refusal(from, response->code);
        forwards_.on_response(from, std::move(*response));
      }
      return;
    case wire::FrameKind::kControlResponse:
      if (auto response = wire::decode_control_response(payload)) {
        pause_after_refusal(from, response->code);
        forwards_.on_response(from, std::move(*response));
      }
      return;
  }
}

bool Node::reserve_forwarded(uint64_t bytes) {
  if (forwarded_requests_ >= options_.forwarded_requests_max ||
      (forwarded_requests_ > 0 && forwarded_bytes_ + bytes > options_.forwarded_bytes_max)) {
    return false;
  }
  ++forwarded_requests_;
  forwarded_bytes_ += bytes;
  return true;
}

void Node::respond(raft::NodeId to, std::string frame) {
  // A lost answer is one that the other node's deadline takes care of.
  Status sent = send_frame(to, std::move(frame));
  if (!sent)
    KVS_LOG(kDebug, "node", "answer to {:016x} was not sent: {}", to.value, sent.to_string());
}

void Node::on_forward_request(raft::NodeId from, const SharedBytes& payload) {
  Result<wire::ForwardRequest> request = wire::decode_forward_request(payload);
  if (!request) {
    ++counters_.messages_dropped;
    return;
  }
  wire::ForwardResponse response;
  response.request = request->request;
  Status refused = refusal();
  if (refused && !leads()) refused = Status(Code::kNotLeader, "this node is not the leader");
  uint64_t bytes = request->command.size();
  if (refused && !reserve_forwarded(bytes)) {
    refused = Status(Code::kBusy, "the leader has too many forwarded requests");
  }
  // What is malformed must not reach the log, where it would stop every node.
  if (refused) {
    refused = check_command(request->command.view());
    if (!refused) {
      --forwarded_requests_;
      forwarded_bytes_ -= bytes;
    }
  }
  if (!refused) {
    // One that leads and refuses is handing over: the next leader takes it.
    const bool handing_over =
        refused.code() == Code::kClosed || refused.code() == Code::kUnreachable;
    response.code = handing_over ? Code::kNotLeader : refused.code();
    response.message = refused.message();
    respond(from, wire::encode(response));
    return;
  }
  auto proposal = std::make_unique<Proposal>();
  proposal->command = request->command.view();
  proposal->deadline_ms = ports_.clock->now_ms() + request->timeout_ms;
  proposal->may_forward = false;
  proposal->done = Completion<ProposalOutcome>(
      [this, from, bytes, number = request->request](ProposalOutcome&& outcome) {
        wire::ForwardResponse answer;
        answer.request = number;
        answer.code = outcome.code;
        answer.message = std::move(outcome.message);
        answer.term = outcome.at.term.value;
        answer.index = outcome.at.index.value;
        if (outcome.code == Code::kOk)
          answer.result = SharedBytes(kv::encode_result(outcome.result));
        ports_.executor->post([this, from, bytes, frame = wire::encode(answer)]() mutable {
          --forwarded_requests_;
          forwarded_bytes_ -= bytes;
          respond(from, std::move(frame));
        });
      });
  std::vector<ProposalPtr> one;
  one.push_back(std::move(proposal));
  propose_local(std::move(one));
}

void Node::on_control_request(raft::NodeId from, const SharedBytes& payload) {
  Result<wire::ControlRequest> request = wire::decode_control_request(payload);
  if (!request) {
    ++counters_.messages_dropped;
    return;
  }
  auto control = std::make_unique<Control>();
  control->verb = std::move(request->verb);
  control->json = std::move(request->json);
  control->deadline_ms = ports_.clock->now_ms() + request->timeout_ms;
  control->may_forward = false;
  bool reserved = reserve_forwarded(0);
  control->done = Completion<ControlOutcome>(
      [this, from, reserved, number = request->request](ControlOutcome&& outcome) {
        wire::ControlResponse answer{number, outcome.code, std::move(outcome.message),
                                     std::move(outcome.json)};
        ports_.executor->post([this, from, reserved, frame = wire::encode(answer)]() mutable {
          if (reserved) --forwarded_requests_;
          respond(from, std::move(frame));
        });
      });
  if (!reserved) {
    control->finish(Code::kBusy, "the leader has too many forwarded requests");
  } else if (control->verb == kHashAtVerb) {
    control_hash_at(std::move(control));
  } else if (!leads() || !refusal()) {  // also while leadership is handed over: the next one serves
    control->finish(Code::kNotLeader, "this node does not lead, or not for long");
  } else {
    execute(std::move(control));
  }
}

}  // namespace kvstore::node
