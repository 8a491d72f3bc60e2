// JSON against JSON Schema, with errors that say what to do.  Internal: includes nlohmann_json.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/status.hpp"

namespace kvstore::host {

using Json = nlohmann::json;

// A JSON Schema (draft 7, local references only), parsed once.
class JsonSchema {
 public:
  // kInternal when the text is no schema.
  static Result<JsonSchema> parse(std::string_view text);

  // kInvalid: "/pointer: what is wrong; remedy", for the first and deepest error.  `root` is put
  // before the pointer.
  Status check(const Json& value, const std::string& root) const;

  const Json& json() const { return json_; }

 private:
  Json json_;
};

// Whether a string may be written as JSON; Json takes any bytes and throws when it writes others.
bool is_utf8(const std::string& text);

// Parses JSON; kInvalid with line and column.
Result<Json> parse_json(std::string_view text);

// The known word nearest to a mistyped one, or "" when none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

}  // namespace kvstore::host
