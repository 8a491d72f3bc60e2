// The range that a list request names, and the cursor that continues it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <kvstore/abi/api.h>

namespace kvstore::http {

// Keys lower <= key < upper; without upper there is no end.
struct KeyRange {
  std::string lower;
  std::optional<std::string> upper;
  bool reverse = false;

  static KeyRange of_prefix(std::string_view prefix);

  // Cuts the range down to what comes after `last` in its direction.
  void continue_after(std::string_view last);

  // Borrows this object's strings.
  kvs_range to_abi() const;
  bool operator==(const KeyRange&) const = default;
};

// A cursor carries the last key delivered and a fingerprint of the range it belongs to, so that it
// cannot be used with another one.  Opaque to clients, safe in URLs.
std::string encode_cursor(const KeyRange& range, std::string_view last_key);
// Nothing when the text is no cursor of this range.
std::optional<std::string> decode_cursor(const KeyRange& range, std::string_view text);

}  // namespace kvstore::http
