// Damage for decoders: every truncation, an extra byte, and every flipped bit of good bytes.
#pragma once

#include <string>
#include <vector>

namespace kvstore::wire::test {

inline std::vector<std::string> mutations(const std::string& good) {
  std::vector<std::string> out;
  for (size_t size = 0; size < good.size(); size++) out.push_back(good.substr(0, size));
  out.push_back(good + '\0');
  for (size_t bit = 0; bit < good.size() * 8; bit++) {
    out.push_back(good);
    out.back()[bit / 8] = static_cast<char>(good[bit / 8] ^ (1 << (bit % 8)));
  }
  return out;
}

}  // namespace kvstore::wire::test
