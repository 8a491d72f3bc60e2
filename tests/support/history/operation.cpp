#include "support/history/operation.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace kvstore::history {
namespace {

std::string numbered(const char* name, uint64_t number) {
  return number == 0 ? std::string() : fmt::format(" {} {}", name, number);
}

std::string describe_step(const Step& step, bool answered) {
  switch (step.kind) {
    case Step::Kind::kExpect:
      return step.version == 0 ? fmt::format("if {} is absent", step.key)
                               : fmt::format("if {} has version {}", step.key, step.version);
    case Step::Kind::kGet:
      if (!answered) return "get " + step.key;
      if (!step.exists) return fmt::format("get {} -> absent", step.key);
      return fmt::format("get {} -> '{}'{}", step.key, step.value,
                         numbered("version", step.version));
    case Step::Kind::kPut:
      return fmt::format("put {} = '{}'{}", step.key, step.value,
                         numbered("version", step.version));
    case Step::Kind::kDelete:
      return "delete " + step.key;
  }
  return {};
}

}  // namespace

bool Operation::writes() const {
  return std::any_of(steps.begin(), steps.end(), [](const Step& s) {
    return s.kind == Step::Kind::kPut || s.kind == Step::Kind::kDelete;
  });
}

bool Operation::conditional() const {
  return std::any_of(steps.begin(), steps.end(),
                     [](const Step& s) { return s.kind == Step::Kind::kExpect; });
}

Step get(std::string key) {
  Step step;
  step.key = std::move(key);
  return step;
}

Step absent(std::string key) {
  return get(std::move(key));
}

Step present(std::string key, std::string value, uint64_t version) {
  return {Step::Kind::kGet, std::move(key), std::move(value), version, true};
}

Step put(std::string key, std::string value, uint64_t version) {
  return {Step::Kind::kPut, std::move(key), std::move(value), version, false};
}

Step remove(std::string key) {
  return {Step::Kind::kDelete, std::move(key), {}, 0, false};
}

Step expect(std::string key, uint64_t version) {
  return {Step::Kind::kExpect, std::move(key), {}, version, false};
}

std::string describe(const Operation& op) {
  const bool ok = op.outcome == Outcome::kOk;
  std::string line = ok || op.outcome == Outcome::kNotDone
                         ? fmt::format("[{:>12} .. {:>12}]", op.call_us, op.return_us)
                         : fmt::format("[{:>12} .. {:>12}]", op.call_us, "unknown");
  line += fmt::format(" client {:<3}", op.client);
  if (!op.node.empty()) line += " " + op.node;
  const char* separator = "  ";
  for (const Step& step : op.steps) {
    line += separator + describe_step(step, ok);
    separator = "; ";
  }
  if (op.outcome == Outcome::kNotDone) line += "  (not done)";
  if (ok && op.conditional()) line += op.held ? "  (held)" : "  (did not hold)";
  if (ok) line += numbered(" revision", op.revision);
  return line;
}

std::string describe(const History& history) {
  History sorted = history;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Operation& a, const Operation& b) { return a.call_us < b.call_us; });
  std::string text;
  for (const Operation& op : sorted) text += describe(op) + "\n";
  return text;
}

}  // namespace kvstore::history
