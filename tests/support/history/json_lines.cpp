#include "support/history/json_lines.hpp"

#include <array>
#include <istream>
#include <ostream>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace kvstore::history {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 4> kKinds = {"expect", "get", "put", "delete"};
constexpr std::array<const char*, 3> kOutcomes = {"ok", "not_done", "unknown"};

template <size_t N>
bool find_name(const std::array<const char*, N>& names, const std::string& name, size_t* at) {
  for (*at = 0; *at < N; ++*at) {
    if (names[*at] == name) return true;
  }
  return false;
}

json to_json(const Step& step) {
  json object{{"kind", kKinds[static_cast<size_t>(step.kind)]}, {"key", step.key}};
  if (step.kind == Step::Kind::kGet) object["exists"] = step.exists;
  if (!step.value.empty()) object["value"] = step.value;
  if (step.version != 0) object["version"] = step.version;
  return object;
}

bool from_json(const json& object, Step* step) {
  size_t kind = 0;
  if (!find_name(kKinds, object.at("kind").get<std::string>(), &kind)) return false;
  step->kind = static_cast<Step::Kind>(kind);
  step->key = object.at("key").get<std::string>();
  step->value = object.value("value", "");
  step->version = object.value("version", uint64_t{0});
  step->exists = object.value("exists", false);
  return true;
}

bool from_json(const json& object, Operation* op) {
  size_t outcome = 0;
  if (!find_name(kOutcomes, object.at("outcome").get<std::string>(), &outcome)) return false;
  op->outcome = static_cast<Outcome>(outcome);
  op->client = object.at("client").get<uint64_t>();
  op->node = object.value("node", "");
  op->call_us = object.at("call_us").get<uint64_t>();
  op->return_us = object.value("return_us", uint64_t{0});
  op->held = object.value("held", true);
  op->revision = object.value("revision", uint64_t{0});
  for (const json& item : object.at("steps")) {
    if (!from_json(item, &op->steps.emplace_back())) return false;
  }
  return true;
}

}  // namespace

std::string to_json_line(const Operation& op) {
  json object{{"client", op.client},       {"call_us", op.call_us},
              {"return_us", op.return_us}, {"outcome", kOutcomes[static_cast<size_t>(op.outcome)]},
              {"held", op.held},           {"steps", json::array()}};
  if (!op.node.empty()) object["node"] = op.node;
  if (op.revision != 0) object["revision"] = op.revision;
  for (const Step& step : op.steps) object["steps"].push_back(to_json(step));
  return object.dump(-1, ' ', true, json::error_handler_t::replace);
}

void write_json_lines(std::ostream& out, const History& history) {
  for (const Operation& op : history) out << to_json_line(op) << '\n';
}

Result<History> read_json_lines(std::istream& in) {
  History history;
  std::string line;
  for (size_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    bool good = false;
    try {
      good = from_json(json::parse(line), &history.emplace_back());
    } catch (const json::exception&) {
      // Said below.
    }
    if (!good) return Status(Code::kInvalid, fmt::format("line {} is no operation", number));
  }
  return history;
}

}  // namespace kvstore::history
