// Ranges of keys as half-open intervals.
#pragma once

#include <string>

#include "kv/types.hpp"

namespace kvstore::kv {

// lower <= key < upper; an empty upper is no bound.
struct KeyInterval {
  std::string lower;
  std::string upper;

  explicit KeyInterval(const Range& range);
  KeyInterval(std::string lower_key, std::string upper_key)
      : lower(std::move(lower_key)), upper(std::move(upper_key)) {}

  bool contains(Bytes key) const { return key >= lower && (upper.empty() || key < upper); }
  // No key can lie inside.
  bool empty() const { return !upper.empty() && lower >= upper; }
};

// The smallest string above every string that begins with `prefix`; empty when there is none.
std::string prefix_successor(Bytes prefix);

}  // namespace kvstore::kv
