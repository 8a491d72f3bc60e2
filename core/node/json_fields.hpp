// The fields of a JSON object that comes from a client or from another node: anything may be in it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace kvstore::node {

// Arguments and answers of verbs, read with checks; error() is about the first wrong one.
class JsonFields {
 public:
  explicit JsonFields(const std::string& text)
      : json_(text.empty() ? nlohmann::json::object()
                           : nlohmann::json::parse(text, nullptr, false)) {
    if (!json_.is_object()) error_ = "the arguments are not a JSON object";
  }

  std::string string(const char* key) {
    auto it = json_.find(key);
    if (it == json_.end() || !it->is_string() || it->get<std::string>().empty()) {
      fail(std::string("'") + key + "' is required and must be a non-empty string");
      return {};
    }
    return it->get<std::string>();
  }
  bool boolean(const char* key, bool fallback) {
    auto it = json_.find(key);
    if (it == json_.end()) return fallback;
    if (!it->is_boolean()) fail(std::string("'") + key + "' must be true or false");
    return it->is_boolean() && it->get<bool>();
  }
  uint64_t number(const char* key, uint64_t fallback) {
    auto it = json_.find(key);
    if (it == json_.end()) return fallback;
    if (!it->is_number_unsigned()) {
      fail(std::string("'") + key + "' must be a non-negative integer");
      return fallback;
    }
    return it->get<uint64_t>();
  }
  const std::string& error() const { return error_; }

 private:
  void fail(std::string message) {
    if (error_.empty()) error_ = std::move(message);
  }
  nlohmann::json json_;
  std::string error_;
};

}  // namespace kvstore::node
