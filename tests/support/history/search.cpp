#include "support/history/search.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>

#include "base/assert.hpp"

namespace kvstore::history {
namespace {

constexpr uint64_t kNever = UINT64_MAX;
constexpr uint32_t kAbsent = 0;  // the number of no value

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Two independent hashes: configurations are told apart by them alone.
struct Digest {
  uint64_t a = 0;
  uint64_t b = 0;
  void add(uint64_t x) {
    a = mix(a ^ mix(x));
    b = mix(b + mix(x ^ 0x5851f42d4c957f2du));
  }
  bool operator==(const Digest&) const = default;
};
struct DigestHash {
  size_t operator()(const Digest& d) const { return static_cast<size_t>(d.a); }
};

struct Cell {
  uint32_t value = kAbsent;
  uint64_t version = 0;  // of the value; 0: not known yet
  uint64_t floor = 0;    // the highest version that this key is known to have had
  bool operator==(const Cell&) const = default;
};

struct State {
  std::vector<Cell> cells;
  uint64_t revision = 0;
  bool operator==(const State&) const = default;
};

// A step with numbers for keys and values.
struct Action {
  Step::Kind kind;
  uint32_t key;
  uint32_t value;
  uint64_t version;
};

class Searcher {
 public:
  Searcher(const std::vector<Task>& tasks, uint64_t steps_max);
  SearchResult run();

 private:
  struct Frame {
    std::vector<size_t> candidates;
    size_t next = 0;
    size_t done = SIZE_MAX;  // the task that led here from the frame below
    State state;
  };

  uint32_t number_of(std::map<std::string, uint32_t>* numbers, const std::string& text) const {
    return numbers->emplace(text, static_cast<uint32_t>(numbers->size() + 1)).first->second;
  }
  // Whether `task` can be next in this state, which it changes.
  bool apply(size_t task, State* state) const;
  std::optional<bool> judge_expects(size_t task, State* state) const;
  bool see(const Action& get, Cell* cell) const;
  // Whether it would change something in some state.
  bool would_write(size_t task) const {
    return !reads_only_[task] && !(tasks_[task].answered && !tasks_[task].operation->held);
  }
  uint64_t preference(size_t task) const;
  std::vector<size_t> candidates() const;
  void unlink(size_t task);
  void relink(size_t task);
  bool is_new(const State& state);
  bool descend(size_t task, State state);

  const std::vector<Task>& tasks_;
  const uint64_t steps_max_;
  std::vector<std::vector<Action>> actions_;
  std::vector<char> reads_only_;
  size_t keys_ = 0;

  // Tasks not done yet, by call time: a list through `after_` and `before_`; slot n is its head.
  std::vector<size_t> after_;
  std::vector<size_t> before_;
  size_t left_ = 0;  // that must be done
  uint64_t set_a_ = 0;
  uint64_t set_b_ = 0;
  std::vector<Frame> frames_;
  std::unordered_set<Digest, DigestHash> seen_;
  SearchResult result_;
};

Searcher::Searcher(const std::vector<Task>& tasks, uint64_t steps_max)
    : tasks_(tasks), steps_max_(steps_max) {
  std::map<std::string, uint32_t> keys;
  std::map<std::string, uint32_t> values;
  for (const Task& task : tasks_) {
    std::vector<Action>& actions = actions_.emplace_back();
    reads_only_.push_back(!task.operation->writes());
    if (!task.optional) ++left_;
    for (size_t i = 0; i < task.operation->steps.size(); ++i) {
      const Step& step = task.operation->steps[i];
      const bool valued =
          step.kind == Step::Kind::kPut || (step.kind == Step::Kind::kGet && step.exists);
      actions.push_back({step.kind, number_of(&keys, step.key) - 1,
                         valued ? number_of(&values, step.value) : kAbsent,
                         step.kind == Step::Kind::kPut ? task.versions[i] : step.version});
    }
  }
  keys_ = keys.size();
  std::vector<size_t> order(tasks_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return tasks_[a].call_us < tasks_[b].call_us; });
  const size_t head = tasks_.size();
  after_.assign(head + 1, head);
  before_.assign(head + 1, head);
  size_t last = head;
  for (size_t task : order) {
    after_[last] = task;
    before_[task] = last;
    last = task;
  }
  after_[last] = head;
  before_[head] = last;
}

// Whether all expectations hold; nothing when the task cannot be next at all.  An expectation on a
// value whose version is not known yet tells the version when it held.
std::optional<bool> Searcher::judge_expects(size_t t, State* state) const {
  const Task& task = tasks_[t];
  const bool must_hold = !task.answered || task.operation->held;
  bool held = true;
  bool open = false;  // it may hold or not
  for (const Action& action : actions_[t]) {
    if (action.kind != Step::Kind::kExpect) continue;
    Cell& cell = state->cells[action.key];
    if (cell.value == kAbsent || action.version == 0) {
      held = held && (cell.value == kAbsent) == (action.version == 0);
    } else if (cell.version != 0) {
      held = held && cell.version == action.version;
    } else if (action.version <= cell.floor) {
      held = false;
    } else if (must_hold) {
      cell.version = cell.floor = action.version;
    } else {
      open = true;
    }
  }
  if (!must_hold && held && open) held = false;
  if (held != must_hold) return std::nullopt;
  return held;
}

bool Searcher::see(const Action& get, Cell* cell) const {
  if (get.value != cell->value) return false;
  if (get.value == kAbsent || get.version == 0) return true;
  if (cell->version != 0) return cell->version == get.version;
  if (get.version <= cell->floor) return false;
  cell->version = cell->floor = get.version;
  return true;
}

bool Searcher::apply(size_t t, State* state) const {
  const Task& task = tasks_[t];
  const std::optional<bool> held = judge_expects(t, state);
  if (!held) return false;
  if (task.answered) {
    for (const Action& action : actions_[t]) {
      if (action.kind == Step::Kind::kGet && !see(action, &state->cells[action.key])) return false;
    }
  }
  bool has_put = false;
  for (const Action& action : actions_[t]) {
    if (!*held) break;
    Cell& cell = state->cells[action.key];
    if (action.kind == Step::Kind::kPut) {
      has_put = true;
      if (action.version != 0 && action.version <= cell.floor) return false;
      cell.value = action.value;
      cell.version = action.version;
      cell.floor = std::max(cell.floor, action.version);
    } else if (action.kind == Step::Kind::kDelete) {
      cell.value = kAbsent;
      cell.version = 0;
    }
  }
  const uint64_t revision = task.answered ? task.operation->revision : 0;
  if (revision == 0) return true;
  if (has_put ? revision <= state->revision : revision < state->revision) return false;
  state->revision = revision;
  return true;
}

// Tasks with a smaller number are tried first; revisions usually are the order of effects.
uint64_t Searcher::preference(size_t t) const {
  const Task& task = tasks_[t];
  if (task.optional) return kNever;
  uint64_t number = task.answered ? task.operation->revision : 0;
  for (const Action& action : actions_[t]) number = std::max(number, action.version);
  return 2 * number + (reads_only_[t] ? 1 : 0);
}

std::vector<size_t> Searcher::candidates() const {
  std::vector<size_t> found;
  uint64_t first_return = kNever;
  const size_t head = tasks_.size();
  std::vector<const std::vector<Step>*> optional;
  for (size_t t = after_[head]; t != head && tasks_[t].call_us <= first_return; t = after_[t]) {
    if (tasks_[t].optional) {
      // Of equal ones the first called is as good as any other.
      const std::vector<Step>& steps = tasks_[t].operation->steps;
      auto equal = [&steps](const std::vector<Step>* other) { return *other == steps; };
      if (std::any_of(optional.begin(), optional.end(), equal)) continue;
      optional.push_back(&steps);
    }
    found.push_back(t);
    first_return = std::min(first_return, tasks_[t].return_us);
  }
  std::stable_sort(found.begin(), found.end(),
                   [this](size_t a, size_t b) { return preference(a) < preference(b); });
  return found;
}

void Searcher::unlink(size_t t) {
  after_[before_[t]] = after_[t];
  before_[after_[t]] = before_[t];
  set_a_ ^= mix(t + 1);
  set_b_ ^= mix(~t);
  if (!tasks_[t].optional) --left_;
}

void Searcher::relink(size_t t) {
  after_[before_[t]] = t;
  before_[after_[t]] = t;
  set_a_ ^= mix(t + 1);
  set_b_ ^= mix(~t);
  if (!tasks_[t].optional) ++left_;
}

bool Searcher::is_new(const State& state) {
  Digest digest{set_a_, set_b_};
  digest.add(state.revision);
  for (const Cell& cell : state.cells) {
    digest.add(cell.value);
    digest.add(cell.version);
    digest.add(cell.floor);
  }
  return seen_.insert(digest).second;
}

// Makes `task` the next one; false when this was tried before.
bool Searcher::descend(size_t task, State state) {
  unlink(task);
  if (!is_new(state)) {
    relink(task);
    return false;
  }
  frames_.push_back({candidates(), 0, task, std::move(state)});
  if (frames_.size() - 1 > result_.longest.size()) {
    result_.longest.clear();
    for (size_t i = 1; i < frames_.size(); ++i) result_.longest.push_back(frames_[i].done);
  }
  return true;
}

SearchResult Searcher::run() {
  frames_.push_back({candidates(), 0, SIZE_MAX, State{std::vector<Cell>(keys_), 0}});
  while (left_ > 0) {
    Frame& frame = frames_.back();
    if (frame.next == frame.candidates.size()) {
      if (frames_.size() == 1) {
        result_.verdict = Verdict::kViolation;
        return result_;
      }
      relink(frame.done);
      frames_.pop_back();
      continue;
    }
    if (++result_.steps > steps_max_) {
      result_.verdict = Verdict::kGaveUp;
      return result_;
    }
    const size_t task = frame.candidates[frame.next++];
    State state = frame.state;
    if (!apply(task, &state)) continue;
    const bool same = state == frame.state;
    if (same && tasks_[task].optional) continue;  // as good as never
    // A read that fits can as well come first: no other order need be tried here.
    if (same && !would_write(task)) frame.next = frame.candidates.size();
    descend(task, std::move(state));
  }
  return result_;
}

using KeyValue = std::pair<std::string, std::string>;

// Keys for which some answer depends on what was there without telling what it was.
std::set<std::string> keys_with_blind_answers(const std::vector<const Operation*>& operations) {
  std::set<std::pair<std::string, uint64_t>> told;  // versions of keys
  for (const Operation* op : operations) {
    for (const Step& step : op->steps) {
      const bool tells = step.kind == Step::Kind::kGet || step.kind == Step::Kind::kPut;
      if (tells && op->outcome == Outcome::kOk) told.emplace(step.key, step.version);
    }
  }
  std::set<std::string> keys;
  for (const Operation* op : operations) {
    if (op->outcome != Outcome::kOk) continue;
    for (const Step& step : op->steps) {
      if (step.kind != Step::Kind::kExpect) continue;
      auto shows = [&step](const Step& other) {
        return other.kind == Step::Kind::kGet && other.key == step.key &&
               (!other.exists || other.version != 0);
      };
      const bool clear = op->held ? step.version == 0 || told.count({step.key, step.version}) != 0
                                  : std::any_of(op->steps.begin(), op->steps.end(), shows);
      if (!clear) keys.insert(step.key);
    }
  }
  return keys;
}

// Who saw a value: the earliest return, and the version that was shown with it.
struct Sighting {
  uint64_t return_us = kNever;
  uint64_t version = 0;
};

}  // namespace

SearchResult search(const std::vector<Task>& tasks, uint64_t steps_max) {
  return Searcher(tasks, steps_max).run();
}

std::vector<Task> make_tasks(const std::vector<const Operation*>& operations) {
  std::map<KeyValue, size_t> puts;
  std::map<KeyValue, Sighting> seen;
  for (const Operation* op : operations) {
    for (const Step& step : op->steps) {
      if (step.kind == Step::Kind::kPut && op->outcome != Outcome::kNotDone)
        ++puts[{step.key, step.value}];
      if (step.kind != Step::Kind::kGet || op->outcome != Outcome::kOk || !step.exists) continue;
      Sighting& sighting = seen[{step.key, step.value}];
      sighting.return_us = std::min(sighting.return_us, op->return_us);
      sighting.version = std::max(sighting.version, step.version);
    }
  }
  const std::set<std::string> blind = keys_with_blind_answers(operations);
  // A value that nobody can have come across, whether it was put or not.
  auto unseen = [&](const Step& step) {
    return step.kind != Step::Kind::kDelete &&
           (step.kind != Step::Kind::kPut ||
            (blind.count(step.key) == 0 && seen.count({step.key, step.value}) == 0));
  };
  std::vector<Task> tasks;
  for (const Operation* op : operations) {
    if (op->outcome == Outcome::kNotDone) continue;
    if (op->outcome == Outcome::kUnknown && std::all_of(op->steps.begin(), op->steps.end(), unseen))
      continue;
    const bool ok = op->outcome == Outcome::kOk;
    Task task{op, op->call_us, ok ? op->return_us : kNever, !ok, ok, {}};
    for (const Step& step : op->steps) {
      uint64_t version = step.kind == Step::Kind::kPut ? step.version : 0;
      auto sighting = seen.find({step.key, step.value});
      const bool sighted = !ok && step.kind == Step::Kind::kPut && sighting != seen.end() &&
                           puts[{step.key, step.value}] == 1;
      if (sighted) {
        task.optional = false;
        // A value that was seen before it was asked for is a violation, not a put in the past.
        task.return_us =
            std::max(task.call_us, std::min(task.return_us, sighting->second.return_us));
        version = sighting->second.version;
      }
      task.versions.push_back(version);
    }
    tasks.push_back(std::move(task));
  }
  return tasks;
}

}  // namespace kvstore::history
