#include "support/history/shrink.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "support/history/search.hpp"

namespace kvstore::history {
namespace {

// Whether taking `removed` away could by itself make `other` impossible to explain: it saw the
// value or its version, or that the key was absent after a delete, or that an expectation failed.
bool depends(const Operation& other, const Operation& removed) {
  for (const Step& gone : removed.steps) {
    const bool is_put = gone.kind == Step::Kind::kPut;
    if (!is_put && gone.kind != Step::Kind::kDelete) continue;
    for (const Step& step : other.steps) {
      if (step.key != gone.key) continue;
      if (step.kind == Step::Kind::kExpect) return true;
      if (step.kind != Step::Kind::kGet) continue;
      if (is_put ? step.exists && step.value == gone.value : !step.exists) return true;
    }
  }
  return false;
}

class Shrinker {
 public:
  Shrinker(const std::vector<const Operation*>& operations, uint64_t steps_max)
      : history_(), steps_left_(steps_max) {
    for (const Operation* op : operations) {
      if (op->outcome != Outcome::kNotDone) history_.push_back(*op);
    }
  }

  History run() {
    cut_end();
    for (size_t chunk = std::max<size_t>(history_.size() / 2, 1); steps_left_ > 0; chunk /= 2) {
      remove_chunks(std::max<size_t>(chunk, 1));
      if (chunk <= 1) break;
    }
    return std::move(history_);
  }

 private:
  bool fails(const History& history) {
    std::vector<const Operation*> operations;
    for (const Operation& op : history) operations.push_back(&op);
    SearchResult result = search(make_tasks(operations), steps_left_);
    steps_left_ -= std::min(steps_left_, result.steps);
    return result.verdict == Verdict::kViolation;
  }

  // What was known when `end_us` had just passed.
  History until(uint64_t end_us) const {
    History cut;
    for (Operation op : history_) {
      if (op.call_us > end_us) continue;
      if (op.outcome == Outcome::kOk && op.return_us > end_us) op.outcome = Outcome::kUnknown;
      if (op.outcome == Outcome::kOk || op.writes()) cut.push_back(std::move(op));
    }
    return cut;
  }

  // Everything after the first answer that cannot be explained.
  void cut_end() {
    std::vector<uint64_t> ends;
    for (const Operation& op : history_) {
      if (op.outcome == Outcome::kOk) ends.push_back(op.return_us);
    }
    std::sort(ends.begin(), ends.end());
    auto works = [this](uint64_t end_us) { return !fails(until(end_us)); };
    auto first = std::partition_point(ends.begin(), ends.end(), works);
    if (first == ends.end()) return;
    History cut = until(*first);
    if (fails(cut)) history_ = std::move(cut);
  }

  // Tries to do without each run of `chunk` operations and what depends on them.
  void remove_chunks(size_t chunk) {
    for (size_t begin = 0; begin < history_.size() && steps_left_ > 0;) {
      const size_t end = std::min(begin + chunk, history_.size());
      std::set<size_t> gone;
      for (size_t i = begin; i < end; ++i) {
        gone.insert(i);
        for (size_t k = 0; k < history_.size(); ++k) {
          if (k != i && depends(history_[k], history_[i])) gone.insert(k);
        }
      }
      History rest;
      bool closed = true;  // what goes along may itself be depended on
      for (size_t k = 0; k < history_.size(); ++k) {
        if (gone.count(k) != 0) continue;
        for (size_t i : gone) closed = closed && !depends(history_[k], history_[i]);
        rest.push_back(history_[k]);
      }
      if (closed && !rest.empty() && fails(rest)) {
        history_ = std::move(rest);
      } else {
        begin = end;
      }
    }
  }

  History history_;
  uint64_t steps_left_;
};

}  // namespace

History shrink(const std::vector<const Operation*>& operations, uint64_t steps_max) {
  return Shrinker(operations, steps_max).run();
}

}  // namespace kvstore::history
