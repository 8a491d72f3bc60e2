#include "node/state_hashes.hpp"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "node/json_bytes.hpp"

namespace kvstore::node {

StateHashes::~StateHashes() {
  fail_all(Code::kCancelled, "the node stops");
}

bool StateHashes::answer(uint64_t index, ControlPtr* control) const {
  for (const kv::StateHash& hash : kept_) {
    if (hash.index != index) continue;
    nlohmann::ordered_json out{{"index", hash.index},
                               {"term", hash.term},
                               {"revision", hash.revision},
                               {"pairs", hash.pairs},
                               {"hash", fmt::format("{:016x}", hash.hash)}};
    std::exchange(*control, nullptr)->finish(Code::kOk, {}, text_of(out));
    return true;
  }
  if (kept_.empty() || kept_.back().index < index) return false;
  std::exchange(*control, nullptr)
      ->finish(Code::kNotFound, "this node did not hash its state at that index");
  return true;
}

void StateHashes::add(const kv::StateHash& hash) {
  if (!kept_.empty() && kept_.back().index >= hash.index) return;
  kept_.push_back(hash);
  if (kept_.size() > kKept) kept_.pop_front();
  std::erase_if(waiters_, [&](Waiter& w) { return answer(w.index, &w.control); });
}

void StateHashes::wait(uint64_t index, ControlPtr control) {
  if (answer(index, &control)) return;
  if (waiters_.size() >= kWaitersMax) {
    control->finish(Code::kBusy, "too many callers wait for a hash of the state");
    return;
  }
  waiters_.push_back({index, std::move(control)});
}

void StateHashes::expire(uint64_t now_ms) {
  std::erase_if(waiters_, [&](Waiter& w) {
    if (w.control->deadline_ms > now_ms) return false;
    w.control->finish(Code::kTimeout, "the state was not hashed in time");
    return true;
  });
}

void StateHashes::fail_all(Code code, const std::string& message) {
  for (Waiter& w : std::exchange(waiters_, {})) w.control->finish(code, message);
}

}  // namespace kvstore::node
