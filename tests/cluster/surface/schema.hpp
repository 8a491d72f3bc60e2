// The part of JSON Schema that an OpenAPI 3.0 document of ours uses.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace kvstore::test {

class Schemas {
 public:
  explicit Schemas(nlohmann::json document) : document_(std::move(document)) {}
  const nlohmann::json& document() const { return document_; }

  // What a {"$ref": "#/..."} stands for; anything else stands for itself.
  const nlohmann::json& resolve(const nlohmann::json& node) const;
  // Where the value does not fit and why; empty when it fits.
  std::string mismatch(const nlohmann::json& schema, const nlohmann::json& value,
                       const std::string& at = "$") const;

 private:
  std::string mismatch_of_object(const nlohmann::json& schema, const nlohmann::json& value,
                                 const std::string& at) const;

  nlohmann::json document_;
};

}  // namespace kvstore::test
