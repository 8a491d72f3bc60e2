// Small conversions of text that HTTP and JSON need.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvstore::client {

bool equal_ignoring_case(std::string_view a, std::string_view b);

// Everything but unreserved characters becomes %XX, "/" and dot-only names too: no proxy may fold a
// key.
std::string percent_encode(std::string_view bytes);

std::string base64_encode(std::string_view bytes);

// Empty when `text` is not canonical base64 with padding.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace kvstore::client
