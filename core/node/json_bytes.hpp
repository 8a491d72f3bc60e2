// Bytes in JSON: keys as text when they are UTF-8, else as "key_base64"; what others say of
// themselves as text in any case.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "base/bytes.hpp"

namespace kvstore::node {

inline std::string base64(Bytes bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j)
      out.push_back(i + j > bytes.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63]);
  }
  return out;
}

// {"key": "..."} or {"key_base64": "..."}.
inline nlohmann::ordered_json key_json(const std::string& key) {
  nlohmann::ordered_json out{{"key", key}};
  try {
    (void)out.dump();
  } catch (const nlohmann::json::exception&) {  // not UTF-8
    out = {{"key_base64", base64(key)}};
  }
  return out;
}

// A document that holds what other nodes said: bytes that are no UTF-8 are replaced.
template <typename Json>
std::string text_of(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kvstore::node
