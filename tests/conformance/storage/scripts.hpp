// Random work that is the same for the same seed, in a child process and in the parent that checks
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "log_model.hpp"
#include "state_model.hpp"

namespace kvstore::conformance {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  // 0 .. n - 1
  uint64_t below(uint64_t n) { return engine_() % n; }
  bool chance(uint64_t percent) { return below(100) < percent; }

 private:
  std::mt19937_64 engine_;
};

// Steps of a log's writer.  Each call gives the next step and expects it to be done.
class LogScript {
 public:
  LogScript(uint64_t seed, bool with_resets) : random_(seed), with_resets_(with_resets) {}
  LogStep next();
  const LogModel& model() const { return model_; }

 private:
  LogStep write_step();

  Random random_;
  bool with_resets_;
  LogModel model_;
  uint64_t salt_ = 0;
};

// Writes of a state.
class StateScript {
 public:
  explicit StateScript(uint64_t seed) : random_(seed) {}
  Batch next();
  // A new content to restore; the script goes on from there.
  StateModel next_restore();
  const StateModel& model() const { return model_; }
  Random& random() { return random_; }

 private:
  std::string key();
  Op op();

  Random random_;
  StateModel model_;
};

// Judges a log found after a crash during the script with this seed.  `done`: steps that returned;
// `synced`: how many of them, from the start, are durable; one more may have been under way.
// Returns what is wrong, or empty.
std::string judge_log(uint64_t seed, bool with_resets, uint64_t done, uint64_t synced,
                      const LogModel& found);

// The same for a state: it must be that after some number of writes from `synced` to done + 1.
std::string judge_state(uint64_t seed, uint64_t done, uint64_t synced, const StateModel& found);

}  // namespace kvstore::conformance
