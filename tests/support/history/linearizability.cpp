#include "support/history/linearizability.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "support/history/search.hpp"
#include "support/history/shrink.hpp"

namespace kvstore::history {
namespace {

// Keys that occur together in an operation, and their operations.
std::vector<std::vector<const Operation*>> groups_of(const History& history) {
  std::map<std::string, size_t> number_of;
  std::vector<size_t> parent;
  auto root = [&parent](size_t n) {
    while (parent[n] != n) n = parent[n] = parent[parent[n]];
    return n;
  };
  auto number = [&](const std::string& key) {
    auto [it, fresh] = number_of.emplace(key, parent.size());
    if (fresh) parent.push_back(it->second);
    return it->second;
  };
  for (const Operation& op : history) {
    for (const Step& step : op.steps)
      parent[root(number(step.key))] = root(number(op.steps[0].key));
  }
  std::map<size_t, std::vector<const Operation*>> groups;
  for (const Operation& op : history) {
    if (!op.steps.empty()) groups[root(number_of.at(op.steps[0].key))].push_back(&op);
  }
  std::vector<std::vector<const Operation*>> result;
  for (auto& [at, operations] : groups) result.push_back(std::move(operations));
  return result;
}

bool puts(const Operation& op) {
  return op.held && std::any_of(op.steps.begin(), op.steps.end(),
                                [](const Step& s) { return s.kind == Step::Kind::kPut; });
}

// The first two operations whose revisions contradict the order in which they happened; empty when
// there are none.
History revisions_against_time(const History& history) {
  std::vector<const Operation*> by_call;
  for (const Operation& op : history) {
    if (op.outcome == Outcome::kOk && op.revision != 0) by_call.push_back(&op);
  }
  std::vector<const Operation*> by_return = by_call;
  std::sort(by_call.begin(), by_call.end(),
            [](const Operation* a, const Operation* b) { return a->call_us < b->call_us; });
  std::sort(by_return.begin(), by_return.end(),
            [](const Operation* a, const Operation* b) { return a->return_us < b->return_us; });
  const Operation* highest = nullptr;  // of those that have ended
  size_t ended = 0;
  std::map<uint64_t, const Operation*> putters;
  for (const Operation* op : by_call) {
    for (; ended < by_return.size() && by_return[ended]->return_us < op->call_us; ++ended) {
      if (highest == nullptr || by_return[ended]->revision > highest->revision)
        highest = by_return[ended];
    }
    const uint64_t least = highest == nullptr ? 0 : highest->revision + (puts(*op) ? 1 : 0);
    if (op->revision < least) return {*highest, *op};
    if (!puts(*op)) continue;
    auto [it, fresh] = putters.emplace(op->revision, op);
    if (!fresh) return {*it->second, *op};
  }
  return {};
}

std::string keys_text(const std::vector<const Operation*>& operations) {
  std::set<std::string> keys;
  for (const Operation* op : operations) {
    for (const Step& step : op->steps) keys.insert(step.key);
  }
  return fmt::format("{}", fmt::join(keys, ", "));
}

constexpr size_t kShownMax = 100;  // operations in a report; `offending` has all

// Numbers the operations and says how far an explanation came.
std::string explain(const History& offending) {
  std::vector<const Operation*> operations;
  for (const Operation& op : offending) operations.push_back(&op);
  std::sort(operations.begin(), operations.end(),
            [](const Operation* a, const Operation* b) { return a->call_us < b->call_us; });
  std::vector<Task> tasks = make_tasks(operations);
  std::map<const Operation*, size_t> numbers;
  std::string text;
  for (const Operation* op : operations) {
    numbers.emplace(op, numbers.size() + 1);
    if (numbers.size() <= kShownMax)
      text += fmt::format("  #{:<3} {}\n", numbers.size(), describe(*op));
  }
  if (numbers.size() > kShownMax) return text + fmt::format("  ... {} in all\n", numbers.size());
  SearchResult result = search(tasks, 100'000);
  std::string order;
  for (size_t t : result.longest) order += fmt::format(" #{}", numbers.at(tasks[t].operation));
  return text + fmt::format(
                    "  the longest order that explains what was answered:{}; no other "
                    "operation can be next\n",
                    order.empty() ? " none" : order);
}

void report_violation(CheckResult* result, std::string what, History offending) {
  result->verdict = Verdict::kViolation;
  result->report = std::move(what);
  result->offending = std::move(offending);
}

}  // namespace

CheckResult check(const History& history, const CheckOptions& options) {
  CheckResult result;
  History reversed = revisions_against_time(history);
  if (!reversed.empty()) {
    std::string what = "revisions contradict the order in which operations happened:\n";
    what += describe(reversed);
    report_violation(&result, std::move(what), std::move(reversed));
    return result;
  }
  for (const std::vector<const Operation*>& group : groups_of(history)) {
    std::vector<Task> tasks = make_tasks(group);
    SearchResult searched = search(tasks, options.steps_max);
    ++result.groups;
    result.operations += tasks.size();
    result.steps += searched.steps;
    if (searched.verdict == Verdict::kLinearizable) continue;
    if (searched.verdict == Verdict::kGaveUp) {
      result.verdict = Verdict::kGaveUp;
      result.report = fmt::format("gave up after {} steps on {} operations of keys {}",
                                  searched.steps, tasks.size(), keys_text(group));
      continue;  // another group may hold a proof
    }
    History small = shrink(group, options.shrink_steps);
    std::string what = fmt::format("keys {}: {} operations are not linearizable; of them:\n",
                                   keys_text(group), tasks.size()) +
                       explain(small);
    report_violation(&result, std::move(what), std::move(small));
    return result;
  }
  return result;
}

}  // namespace kvstore::history
