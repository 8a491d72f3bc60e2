// Lenient access to fields of an answer: a field of another type counts as absent.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace kvstore::client {

using Json = nlohmann::json;

inline const Json* find_field(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

inline const Json* find_object(const Json& object, const char* name) {
  const Json* field = find_field(object, name);
  return field != nullptr && field->is_object() ? field : nullptr;
}

inline const Json* find_array(const Json& object, const char* name) {
  const Json* field = find_field(object, name);
  return field != nullptr && field->is_array() ? field : nullptr;
}

inline std::string get_string(const Json& object, const char* name) {
  const Json* field = find_field(object, name);
  return field != nullptr && field->is_string() ? field->get<std::string>() : std::string();
}

inline uint64_t get_number(const Json& object, const char* name) {
  const Json* field = find_field(object, name);
  return field != nullptr && field->is_number_unsigned() ? field->get<uint64_t>() : 0;
}

inline bool get_bool(const Json& object, const char* name) {
  const Json* field = find_field(object, name);
  return field != nullptr && field->is_boolean() && field->get<bool>();
}

}  // namespace kvstore::client
