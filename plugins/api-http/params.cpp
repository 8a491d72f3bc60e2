#include "params.hpp"

#include <algorithm>

#include "api_error.hpp"
#include "text/json_text.hpp"

namespace kvstore::http {
namespace {

bool contains(std::initializer_list<std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Params::Params(std::string_view query, std::initializer_list<std::string_view> known) {
  if (query.empty()) return;
  if (!parse_query(query, &pairs_)) throw bad_request("the query has a malformed % escape");
  for (size_t i = 0; i < pairs_.size(); ++i) {
    const std::string& name = pairs_[i].first;
    if (name != "timeout" && name != "forward" && !contains(known, name)) {
      throw bad_request("unknown parameter \"" + to_utf8(name) + "\"");
    }
    for (size_t j = 0; j < i; ++j) {
      if (pairs_[j].first == name) throw bad_request("parameter \"" + name + "\" is given twice");
    }
  }
  // Of every route, also of those that have no use for them.
  static_cast<void>(duration_ms("timeout"));
  static_cast<void>(boolean("forward", true));
}

const std::string* Params::text(std::string_view name) const {
  for (const auto& [key, value] : pairs_) {
    if (key == name) return &value;
  }
  return nullptr;
}

bool Params::boolean(std::string_view name, bool fallback) const {
  const std::string* value = text(name);
  if (value == nullptr) return fallback;
  const auto parsed = parse_boolean(*value);
  if (!parsed) throw bad_request("parameter \"" + std::string(name) + "\" must be true or false");
  return *parsed;
}

std::optional<uint64_t> Params::unsigned_integer(std::string_view name) const {
  const std::string* value = text(name);
  if (value == nullptr) return std::nullopt;
  const auto parsed = parse_unsigned(*value);
  if (!parsed) {
    throw bad_request("parameter \"" + std::string(name) + "\" must be a non-negative integer");
  }
  return parsed;
}

std::optional<uint64_t> Params::duration_ms(std::string_view name, uint64_t max_ms) const {
  const std::string* value = text(name);
  if (value == nullptr) return std::nullopt;
  const auto parsed = parse_duration_ms(*value, max_ms);
  if (!parsed) {
    throw bad_request("parameter \"" + std::string(name) +
                      "\" must be a duration such as 250ms, 2s or 5m, at most " +
                      std::to_string(max_ms / (60 * 60 * 1000)) + "h");
  }
  return parsed;
}

}  // namespace kvstore::http
