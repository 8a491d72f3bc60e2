#include "host/json_check.hpp"

#include <algorithm>
#include <exception>
#include <numeric>
#include <vector>

#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace kvstore::host {
namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

// valijson writes the place of an error as "<root>", "[raft]", "[heartbeat_ms]".
std::vector<std::string> path_of(const valijson::ValidationResults::Error& error) {
  std::vector<std::string> path;
  for (size_t i = 1; i < error.context.size(); ++i) {
    const std::string& step = error.context[i];
    bool bracketed = step.size() >= 2 && step.front() == '[' && step.back() == ']';
    path.push_back(bracketed ? step.substr(1, step.size() - 2) : step);
  }
  return path;
}

std::string pointer_text(const std::string& root, const std::vector<std::string>& path) {
  std::string text = root;
  for (const std::string& step : path) {
    text += '/';
    for (char c : step) {
      if (c == '~') {
        text += "~0";
      } else if (c == '/') {
        text += "~1";
      } else {
        text += c;
      }
    }
  }
  return text.empty() ? "/" : text;
}

const Json* child(const Json& value, const std::string& step) {
  if (value.is_object()) {
    auto it = value.find(step);
    return it == value.end() ? nullptr : &*it;
  }
  if (value.is_array() && !step.empty() && step.find_first_not_of("0123456789") == step.npos) {
    size_t index = std::stoul(step);
    return index < value.size() ? &value[index] : nullptr;
  }
  return nullptr;
}

// The schema that governs a value's child, as far as "properties" and "items" lead there.
const Json* child_schema(const Json& schema, const Json& value, const std::string& step) {
  if (value.is_array()) {
    auto items = schema.find("items");
    return items != schema.end() && items->is_object() ? &*items : nullptr;
  }
  auto properties = schema.find("properties");
  return properties == schema.end() ? nullptr : child(*properties, step);
}

std::string with_article(const std::string& type) {
  bool vowel = type.find_first_of("aeiou") == 0;
  return (vowel ? "an " : "a ") + type;
}

std::string type_text(const Json& value) {
  if (value.is_number_integer()) return "an integer";
  return with_article(value.type_name());
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "integer") return value.is_number_integer();
  return value.type_name() == type;
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  constexpr size_t kShown = 60;
  return text.size() <= kShown ? text : text.substr(0, kShown) + "...";
}

std::string range_text(const Json& schema) {
  std::string low = schema.contains("minimum") ? schema["minimum"].dump() : "";
  std::string high = schema.contains("maximum") ? schema["maximum"].dump() : "";
  if (low.empty() && high.empty()) return "";
  return ' ' + low + ".." + high;
}

std::string explain_object(const Json& schema, const Json& value) {
  std::vector<std::string> known;
  if (schema.contains("properties")) {
    for (const auto& [key, unused] : schema["properties"].items()) known.push_back(key);
  }
  if (schema.value("additionalProperties", Json(true)) == Json(false)) {
    for (const auto& [key, unused] : value.items()) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      std::string hint = nearest(key, known);
      if (!hint.empty()) return "unknown key \"" + key + "\"; did you mean \"" + hint + "\"?";
      std::string all;
      for (const std::string& k : known) all += (all.empty() ? "" : ", ") + k;
      return "unknown key \"" + key + "\"; remove it, or use one of: " + all;
    }
  }
  for (const Json& key : schema.value("required", Json::array())) {
    if (!value.contains(key.get<std::string>())) {
      return "the key " + key.dump() + " is missing; add it";
    }
  }
  return "";
}

// What is wrong with `value` under `schema` in our own words; empty when it is something unusual.
std::string explain(const Json& schema, const Json& value) {
  std::string type = schema.contains("type") && schema["type"].is_string()
                         ? schema["type"].get<std::string>()
                         : "";
  if (!type.empty() && !has_type(value, type)) {
    return "must be " + with_article(type) + range_text(schema) + ", is " + type_text(value) + ' ' +
           shown(value);
  }
  if (value.is_object()) return explain_object(schema, value);
  if (schema.contains("enum")) {
    return "must be one of " + shown(schema["enum"]) + ", is " + shown(value);
  }
  if (value.is_number() && !range_text(schema).empty()) {
    return "must be" + range_text(schema) + ", is " + shown(value);
  }
  if (value.is_string()) {
    if (schema.contains("pattern")) {
      return "is " + shown(value) + ", which does not have the form " +
             schema["pattern"].get<std::string>();
    }
    if (value.get<std::string>().empty()) return "must not be empty";
    if (schema.contains("maxLength")) {
      return "is longer than " + schema["maxLength"].dump() + " characters; shorten it";
    }
  }
  if (value.is_array() && schema.contains("maxItems")) {
    return "has more than " + schema["maxItems"].dump() + " items; remove some";
  }
  return "";
}

std::string describe(const Json& root_schema, const Json& root, const std::string& where,
                     const valijson::ValidationResults::Error& error) {
  std::vector<std::string> path = path_of(error);
  const Json* schema = &root_schema;
  const Json* value = &root;
  for (const std::string& step : path) {
    const Json* next = child(*value, step);
    if (schema != nullptr) schema = child_schema(*schema, *value, step);
    if (next == nullptr) break;
    value = next;
  }
  std::string what = schema != nullptr ? explain(*schema, *value) : "";
  if (what.empty()) what = error.description + "; the value is " + shown(*value);
  return pointer_text(where, path) + ": " + what;
}

}  // namespace

Result<JsonSchema> JsonSchema::parse(std::string_view text) {
  JsonSchema schema;
  schema.json_ = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!schema.json_.is_object()) return Status(Code::kInternal, "the schema is not a JSON object");
  try {
    valijson::Schema parsed;
    valijson::SchemaParser parser;
    parser.populateSchema(Adapter(schema.json_), parsed);
  } catch (const std::exception& e) {
    return Status(Code::kInternal, std::string("the schema is not usable: ") + e.what());
  }
  return schema;
}

Status JsonSchema::check(const Json& value, const std::string& root) const {
  try {
    valijson::Schema parsed;
    valijson::SchemaParser parser;
    parser.populateSchema(Adapter(json_), parsed);
    valijson::ValidationResults results;
    valijson::Validator validator;
    if (validator.validate(parsed, Adapter(value), &results)) return Status();
    // The deepest error is the cause of the others.
    const valijson::ValidationResults::Error* worst = nullptr;
    for (const auto& error : results) {
      if (worst == nullptr || error.context.size() > worst->context.size()) worst = &error;
    }
    if (worst == nullptr) return Status(Code::kInvalid, root + ": does not match the schema");
    return Status(Code::kInvalid, describe(json_, value, root, *worst));
  } catch (const std::exception& e) {
    return Status(Code::kInternal, root + ": the schema is not usable: " + e.what());
  }
}

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(Json(text).dump());
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

Result<Json> parse_json(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    size_t end = std::min<size_t>(e.byte == 0 ? 0 : e.byte - 1, text.size());
    std::string_view before = text.substr(0, end);
    auto line = 1 + std::count(before.begin(), before.end(), '\n');
    size_t line_start = before.rfind('\n');
    size_t column = before.size() - (line_start == before.npos ? 0 : line_start + 1) + 1;
    std::string detail = e.what();
    size_t colon = detail.rfind(": syntax error");
    detail = colon == detail.npos ? "syntax error" : detail.substr(colon + 2);
    size_t cut = detail.find(" - ");
    if (cut != detail.npos) detail = detail.substr(cut + 3);
    return Status(Code::kInvalid, "line " + std::to_string(line) + ", column " +
                                      std::to_string(column) + ": not valid JSON: " + detail);
  } catch (const std::exception& e) {
    return Status(Code::kInvalid, std::string("not valid JSON: ") + e.what());
  }
}

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0]++;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        size_t change = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace kvstore::host
