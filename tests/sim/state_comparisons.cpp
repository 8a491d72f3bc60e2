#include "sim/state_comparisons.hpp"

#include <algorithm>

namespace kvstore::sim {
namespace {

constexpr const char* kVerb = "admin.hash";
constexpr int kAttempts = 30;

bool says(const ControlCall& call, const char* words) {
  return call.outcome->code == Code::kOk && call.outcome->json.find(words) != std::string::npos;
}

}  // namespace

void StateComparisons::act() {
  std::erase_if(calls_, [this](const ControlCallPtr& call) {
    if (!call->outcome) return false;
    judge(*call);
    return true;
  });
  const size_t node = cluster_->world.below(cluster_->size());
  if (cluster_->world.chance(8) && (*cluster_)[node].running())
    calls_.push_back(cluster_->control(node, kVerb, "{}"));
}

void StateComparisons::require_agreement() {
  for (int attempt = 0; attempt < kAttempts && !checker_->failed(); ++attempt) {
    const std::optional<size_t> leads = cluster_->leader();
    ControlCallPtr call = cluster_->control(leads.value_or(0), kVerb, "{}");
    cluster_->wait(call);
    if (!call->outcome) break;
    judge(*call);
    const bool alone = says(*call, R"("agree":null)");
    if (says(*call, R"("complete":true)") && (alone || says(*call, R"("agree":true)"))) return;
    cluster_->run_for(kSecond);
  }
  checker_->violated("liveness: the states are compared", "no complete answer");
}

void StateComparisons::judge(const ControlCall& call) {
  if (says(call, R"("agree":true)")) coverage_->count(Fault::kStatesCompared);
  if (says(call, R"("agree":false)"))
    checker_->violated("deterministic state", "admin.hash: " + call.outcome->json);
}

}  // namespace kvstore::sim
