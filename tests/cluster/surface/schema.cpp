#include "surface/schema.hpp"

#include <algorithm>

namespace kvstore::test {
namespace {

using nlohmann::json;

bool has_type(const std::string& type, const json& value) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  return type == "number" && value.is_number();
}

}  // namespace

const json& Schemas::resolve(const json& node) const {
  if (!node.is_object() || !node.contains("$ref")) return node;
  const std::string pointer = node["$ref"].get<std::string>().substr(1);
  return resolve(document_.at(json::json_pointer(pointer)));
}

std::string Schemas::mismatch(const json& unresolved, const json& value,
                              const std::string& at) const {
  const json& schema = resolve(unresolved);
  if (value.is_null() && schema.value("nullable", false)) return "";
  for (const json& part : schema.value("allOf", json::array())) {
    if (std::string wrong = mismatch(part, value, at); !wrong.empty()) return wrong;
  }
  if (schema.contains("anyOf")) {
    const auto& any = schema["anyOf"];
    const bool fits = std::any_of(
        any.begin(), any.end(), [&](const json& one) { return mismatch(one, value, at).empty(); });
    if (!fits) return at + " fits none of the forms";
  }
  if (schema.contains("type") && !has_type(schema["type"], value))
    return at + " is no " + schema["type"].get<std::string>();
  if (schema.contains("enum") &&
      std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
    return at + " is none of the values";
  if (value.is_number_integer() && schema.contains("minimum") && value < schema["minimum"])
    return at + " is too small";
  if (value.is_object()) return mismatch_of_object(schema, value, at);
  if (value.is_array() && schema.contains("items")) {
    for (size_t i = 0; i < value.size(); ++i) {
      const std::string item = at + "[" + std::to_string(i) + "]";
      if (std::string wrong = mismatch(schema["items"], value[i], item); !wrong.empty())
        return wrong;
    }
  }
  return "";
}

std::string Schemas::mismatch_of_object(const json& schema, const json& value,
                                        const std::string& at) const {
  for (const json& name : schema.value("required", json::array())) {
    if (!value.contains(name.get<std::string>())) return at + " lacks " + name.get<std::string>();
  }
  const json properties = schema.value("properties", json::object());
  for (const auto& [name, member] : value.items()) {
    const json* of_member = nullptr;
    if (properties.contains(name)) of_member = &properties[name];
    if (of_member == nullptr && schema.contains("additionalProperties") &&
        schema["additionalProperties"].is_object())
      of_member = &schema["additionalProperties"];
    if (of_member == nullptr) continue;
    if (std::string wrong = mismatch(*of_member, member, at + "." + name); !wrong.empty())
      return wrong;
  }
  return "";
}

}  // namespace kvstore::test
