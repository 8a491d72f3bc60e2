// Whether a history can be explained by one copy of the data that does one operation at a time.
#pragma once

#include <cstdint>
#include <string>

#include "support/history/operation.hpp"

namespace kvstore::history {

enum class Verdict : uint8_t {
  kLinearizable,
  kViolation,
  kGaveUp,  // the search took more steps than allowed: nothing was shown, a test must not pass
};

struct CheckOptions {
  uint64_t steps_max = 1'000'000;     // of the search, per group of keys
  uint64_t shrink_steps = 2'000'000;  // spent on making a violation small
};

struct CheckResult {
  Verdict verdict = Verdict::kLinearizable;
  // After a violation, a sub-history that is itself not linearizable and that is small: no single
  // read, and no write together with the reads of its value, can be taken out of it.
  History offending;
  std::string report;  // for people; empty when linearizable
  uint64_t steps = 0;
  uint64_t operations = 0;  // that were judged
  uint64_t groups = 0;      // of keys that were judged by themselves

  explicit operator bool() const { return verdict == Verdict::kLinearizable; }
};

// The model: keys are absent at first; see Step and Operation for the effects.  A version or
// revision in an answer must grow as they say and belong to the value it was given for.  Revisions
// are also compared across keys: an operation with a smaller one must not begin after one with a
// greater one ended (together: strict serializability, as far as revisions were recorded).
//
// Method: unknown puts whose value was seen are done; keys that occur in one operation form a
// group; each group is searched as by Wing and Gong, with Lowe's memory of configurations.
CheckResult check(const History& history, const CheckOptions& options = {});

}  // namespace kvstore::history
