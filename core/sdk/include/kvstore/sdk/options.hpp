// Reading a plugin's JSON options with defaults, ranges and clear errors.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

#include <nlohmann/json.hpp>

namespace kvstore::sdk {

// How to use: construct from config_json, read every option once, call reject_unknown().  Each
// failure is an Error(KVS_E_INVALID) that names the option as a JSON pointer below the plugin's
// section.
class Options {
 public:
  explicit Options(const kvs_slice& config_json) {
    std::string_view text = view(config_json);
    if (text.empty()) return;
    json_ = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json_.is_object()) throw Error(KVS_E_INVALID, "/: the options are not a JSON object");
  }

  uint64_t unsigned_integer(const char* key, uint64_t fallback, uint64_t min, uint64_t max) {
    const nlohmann::json* v = find(key);
    if (v == nullptr) return fallback;
    if (!v->is_number_unsigned()) throw bad(key, "is not a non-negative integer");
    uint64_t n = v->get<uint64_t>();
    if (n < min || n > max) {
      throw bad(key, "must be " + std::to_string(min) + ".." + std::to_string(max) + ", is " +
                         std::to_string(n));
    }
    return n;
  }

  bool boolean(const char* key, bool fallback) {
    const nlohmann::json* v = find(key);
    if (v == nullptr) return fallback;
    if (!v->is_boolean()) throw bad(key, "is not true or false");
    return v->get<bool>();
  }

  std::string string(const char* key, const std::string& fallback) {
    const nlohmann::json* v = find(key);
    if (v == nullptr) return fallback;
    if (!v->is_string()) throw bad(key, "is not a string");
    return v->get<std::string>();
  }

  void reject_unknown() const {
    for (const auto& [key, value] : json_.items()) {
      if (known_.count(key) == 0) throw bad(key, "is not an option of this plugin");
    }
  }

 private:
  const nlohmann::json* find(const char* key) {
    known_.insert(key);
    auto it = json_.find(key);
    return it == json_.end() ? nullptr : &*it;
  }
  static Error bad(const std::string& key, const std::string& what) {
    return Error(KVS_E_INVALID, "/" + key + ": " + what);
  }

  nlohmann::json json_ = nlohmann::json::object();
  std::set<std::string> known_;
};

}  // namespace kvstore::sdk
