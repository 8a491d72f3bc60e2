// Histories by hand: operations with short times.
#pragma once

#include <utility>
#include <vector>

#include "support/history/linearizability.hpp"

namespace kvstore::history {

inline Operation ok(uint64_t call, uint64_t ret, std::vector<Step> steps, uint64_t revision = 0) {
  Operation op;
  op.call_us = call;
  op.return_us = ret;
  op.outcome = Outcome::kOk;
  op.revision = revision;
  op.steps = std::move(steps);
  return op;
}

inline Operation not_held(uint64_t call, uint64_t ret, std::vector<Step> steps) {
  Operation op = ok(call, ret, std::move(steps));
  op.held = false;
  return op;
}

inline Operation unknown(uint64_t call, std::vector<Step> steps) {
  Operation op;
  op.call_us = call;
  op.steps = std::move(steps);
  return op;
}

inline Operation not_done(uint64_t call, uint64_t ret, std::vector<Step> steps) {
  Operation op = ok(call, ret, std::move(steps));
  op.outcome = Outcome::kNotDone;
  return op;
}

}  // namespace kvstore::history
