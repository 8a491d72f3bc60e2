#include "request_id.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

namespace kvstore::client {

std::string random_request_id() {
  constexpr char kDigits[] = "0123456789abcdef";
  constexpr int kBits = 128;
  std::random_device device;  // the kernel's: processes that start alike must not meet
  std::string id;
  for (int bits = 0; bits < kBits; bits += 32) {
    uint32_t word = device();
    for (int i = 0; i < 8; ++i, word >>= 4) id.push_back(kDigits[word & 15]);
  }
  return id;
}

bool is_request_id(std::string_view text) {
  constexpr size_t kBytesMax = 128;
  return !text.empty() && text.size() <= kBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string quoted_string(std::string_view text) {
  std::string out(1, '"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

}  // namespace kvstore::client
