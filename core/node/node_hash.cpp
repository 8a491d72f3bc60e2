// Comparing the states of all members at one place in the log: the verb admin.hash.
#include <map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "kv/command_codec.hpp"
#include "node/json_bytes.hpp"
#include "node/json_fields.hpp"
#include "node/node.hpp"
#include "wire/frame.hpp"
#include "wire/peer_codec.hpp"

namespace kvstore::node {

using nlohmann::json;
using nlohmann::ordered_json;

// Answers of the members so far; the last one ends the call.
struct Node::HashComparison {
  ControlPtr control;
  raft::LogId at;
  size_t outstanding = 0;
  std::map<std::string, ControlOutcome> answers;  // by name
};

void Node::on_state_hash(const kv::StateHash& hash) {
  if (failed()) return;
  hashes_.add(hash);
}

void Node::control_hash_at(ControlPtr control) {
  json args = json::parse(control->json, nullptr, /*allow_exceptions=*/false);
  auto index = args.is_object() ? args.find("index") : args.end();
  if (!args.is_object() || index == args.end() || !index->is_number_unsigned()) {
    control->finish(Code::kInvalid, "'index' is required and must be a non-negative integer");
    return;
  }
  hashes_.wait(index->get<uint64_t>(), std::move(control));
}

void Node::control_hash(ControlPtr control) {
  if (comparison_) {
    control->finish(Code::kBusy, "another comparison of hashes is under way");
    return;
  }
  comparison_ = std::make_shared<HashComparison>();
  auto checkpoint = std::make_unique<Proposal>();
  checkpoint->command = kv::encode_command(kv::Checkpoint{});
  checkpoint->deadline_ms = control->deadline_ms;
  checkpoint->may_forward = false;
  comparison_->control = std::move(control);
  checkpoint->done = Completion<ProposalOutcome>([this](ProposalOutcome&& outcome) {
    // It ends on the apply thread.
    ports_.executor->post([this, outcome = std::move(outcome)] { compare_hashes(outcome); });
  });
  std::vector<ProposalPtr> one;
  one.push_back(std::move(checkpoint));
  propose_local(std::move(one));
}

void Node::compare_hashes(const ProposalOutcome& checkpoint) {
  if (!comparison_ || !comparison_->control) return;
  if (checkpoint.code != Code::kOk) {
    std::exchange(comparison_, nullptr)->control->finish(checkpoint.code, checkpoint.message);
    return;
  }
  std::shared_ptr<HashComparison> comparison = comparison_;
  comparison->at = checkpoint.at;
  const std::vector<MemberInfo> members = membership_.members();
  comparison->outstanding = members.size();
  // A little before the caller's own deadline, so that the answer names who did not answer.
  const uint64_t now_ms = ports_.clock->now_ms();
  const uint64_t left_ms =
      comparison->control->deadline_ms - std::min(now_ms, comparison->control->deadline_ms);
  for (const MemberInfo& member : members) {
    auto ask = std::make_unique<Control>();
    ask->verb = kHashAtVerb;
    ask->json = json{{"index", checkpoint.at.index.value}}.dump();
    ask->deadline_ms = now_ms + left_ms - left_ms / 10;
    ask->may_forward = false;
    ask->done = Completion<ControlOutcome>(
        [this, comparison, name = member.name](ControlOutcome&& outcome) {
          comparison->answers[name] = std::move(outcome);
          if (--comparison->outstanding == 0) finish_comparison(comparison.get());
        });
    if (member.id == identity_.id) {
      control_hash_at(std::move(ask));
    } else {
      ask_member(member.id, std::move(ask));
    }
  }
}

// Sends a verb that any member serves to this one.
void Node::ask_member(raft::NodeId member, ControlPtr control) {
  const uint64_t now_ms = ports_.clock->now_ms();
  const uint64_t timeout_ms = control->deadline_ms - std::min(now_ms, control->deadline_ms);
  const uint64_t number = forwards_.next_number();
  Status sent = send_frame(
      member, wire::encode(wire::ControlRequest{number, timeout_ms, control->verb, control->json}));
  if (!sent) {
    control->finish(sent.code(), "not reachable");
    return;
  }
  forwards_.add_sent(number, member, std::move(control));
}

void Node::finish_comparison(HashComparison* comparison) {
  std::map<std::string, size_t> counts;
  ordered_json members = ordered_json::array();
  size_t unknown = 0;
  for (const auto& [name, outcome] : comparison->answers) {
    ordered_json entry{{"node_id", name}};
    JsonFields answer(outcome.json);
    const std::string hash = outcome.code == Code::kOk ? answer.string("hash") : "";
    if (!hash.empty()) {
      entry["hash"] = hash;
      entry["pairs"] = answer.number("pairs", 0);
      entry["revision"] = answer.number("revision", 0);
      ++counts[hash];
    } else {
      ++unknown;
      entry["error"] = outcome.message;
    }
    members.push_back(std::move(entry));
  }
  const size_t known = comparison->answers.size() - unknown;
  const bool differ = counts.size() > 1;
  if (differ) {
    ++counters_.state_divergences;
    KVS_LOG(kError, "node", "the states of members differ at index {}: {}",
            comparison->at.index.value, text_of(members));
  }
  ordered_json out{{"index", comparison->at.index.value},
                   {"term", comparison->at.term.value},
                   {"agree", nullptr},
                   {"complete", unknown == 0},
                   {"members", std::move(members)}};
  if (differ || known > 1) out["agree"] = !differ;  // one alone agrees with nobody
  if (comparison_.get() == comparison) comparison_.reset();
  comparison->control->finish(Code::kOk, {}, text_of(out));
}

void Node::end_comparison(Code code, const std::string& message) {
  std::shared_ptr<HashComparison> comparison = std::exchange(comparison_, nullptr);
  // With members asked, their answers, which all come, end it.
  if (comparison && comparison->outstanding == 0) comparison->control->finish(code, message);
}

}  // namespace kvstore::node
