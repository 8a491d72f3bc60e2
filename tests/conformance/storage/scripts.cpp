#include "scripts.hpp"

#include <algorithm>

namespace kvstore::conformance {

LogStep LogScript::write_step() {
  LogStep step;
  step.sync = random_.chance(50);
  uint64_t term = std::max(model_.hard.term, model_.last().term);
  uint64_t next = model_.last().index + 1;
  if (random_.chance(20)) {
    term += random_.below(2);
    step.hard = kvs_hard_state{term, random_.below(4), model_.last().index};
  }
  if (random_.chance(15) && !model_.entries.empty()) {
    const uint64_t back = random_.below(std::min<uint64_t>(model_.entries.size(), 30)) + 1;
    next = model_.last().index - back + 1;
    step.truncate_from = next;
    ++salt_;
  }
  const uint64_t count = random_.chance(10) ? 0 : 1 + random_.below(8);
  for (uint64_t i = 0; i < count; ++i) {
    const size_t bytes = random_.chance(5) ? 20000 : random_.below(400);
    step.entries.push_back(make_entry(std::max<uint64_t>(term, 1), next + i, bytes, salt_));
  }
  return step;
}

LogStep LogScript::next() {
  LogStep step;
  const uint64_t dice = random_.below(100);
  if (dice < 6 && model_.entries.size() > 20) {
    step.kind = LogStep::kCompact;
    const uint64_t index = model_.base.index + 1 + random_.below(model_.entries.size());
    step.id = {model_.term(index), index};
  } else if (dice < 8 && with_resets_) {
    step.kind = LogStep::kReset;
    step.id = {model_.last().term + random_.below(2), model_.last().index + random_.below(50)};
    ++salt_;
  } else {
    step = write_step();
  }
  model_.apply(step);
  return step;
}

std::string StateScript::key() {
  static const char* const kParts[] = {"", "a", "b", "ab", "\xFF", "key", "user/", "zz"};
  std::string key = kParts[random_.below(8)];
  if (random_.chance(80)) key += std::to_string(random_.below(60));
  if (random_.chance(5)) key.push_back('\0');
  return key;
}

Op StateScript::op() {
  static const uint32_t kSpaces[] = {0, 0, 0, 1, 2, 15};
  const uint32_t space = kSpaces[random_.below(6)];
  const uint64_t dice = random_.below(100);
  if (dice < 70) {
    const size_t bytes = random_.chance(3) ? 30000 : random_.below(300);
    return put(key(), make_entry(1, random_.below(1000), bytes, random_.below(1000)).data, space);
  }
  if (dice < 92) return del(key(), space);
  const std::string begin = key();
  return del_range(begin, random_.chance(10) ? "" : key(), space);
}

Batch StateScript::next() {
  Batch batch;
  const uint64_t count = random_.below(12);
  for (uint64_t i = 0; i < count; ++i) batch.ops.push_back(op());
  batch.at = {model_.applied.term + (random_.chance(5) ? 1 : 0), model_.applied.index + 1};
  if (random_.chance(10)) batch.meta = "meta " + std::to_string(batch.at.index);
  batch.sync = random_.chance(15);
  model_.apply(batch);
  return batch;
}

StateModel StateScript::next_restore() {
  StateModel next;
  next.applied = {model_.applied.term + 1, model_.applied.index + 1 + random_.below(100)};
  next.meta = "restored " + std::to_string(next.applied.index);
  const uint64_t count = random_.below(200);
  for (uint64_t i = 0; i < count; ++i) {
    const Op o = op();
    if (o.kind == KVS_KV_PUT) next.spaces[o.space][o.key] = o.value;
  }
  model_ = next;
  return next;
}

std::string judge_log(uint64_t seed, bool with_resets, uint64_t done, uint64_t synced,
                      const LogModel& found) {
  LogScript script(seed, with_resets);
  uint64_t oldest_base = 0;  // compactions since the last reset may be lost
  std::string last_difference = "no step was done";
  for (uint64_t n = 0; n <= done + 1; ++n) {
    const LogModel before = script.model();
    if (n >= synced) {
      last_difference = difference(before, found, oldest_base);
      if (last_difference.empty()) return {};
    }
    const LogStep step = script.next();
    if (n >= synced && step.kind == LogStep::kWrite) {
      for (size_t parts = 1; parts < LogModel::part_count(step); ++parts) {
        LogModel partial = before;
        partial.apply_parts(step, parts);
        if (difference(partial, found, oldest_base).empty()) return {};
      }
    }
    if (step.kind == LogStep::kReset) oldest_base = step.id.index;
  }
  return "the log is that after no number of steps from " + std::to_string(synced) + " to " +
         std::to_string(done + 1) + "; against the last: " + last_difference;
}

std::string judge_state(uint64_t seed, uint64_t done, uint64_t synced, const StateModel& found) {
  const uint64_t index = found.applied.index;  // one per write
  if (index < synced || index > done + 1) {
    return "the mark is " + std::to_string(index) + ", allowed is " + std::to_string(synced) +
           " to " + std::to_string(done + 1);
  }
  StateScript script(seed);
  while (script.model().applied.index < index) script.next();
  const std::string wrong = difference(script.model(), found);
  return wrong.empty() ? wrong : "at mark " + std::to_string(index) + ": " + wrong;
}

}  // namespace kvstore::conformance
