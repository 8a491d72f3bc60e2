// The value of the header Idempotency-Key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvstore::http {

inline constexpr size_t kIdempotencyKeyBytesMax = 128;

// A string of HTTP's structured fields, "..." with \" and \\ escaped, as the IETF's draft has it,
// or as most clients send it: without the quotes.  1..128 characters of visible ASCII, with spaces
// only in quotes.  Nothing for all else.
std::optional<std::string> parse_idempotency_key(std::string_view header);

}  // namespace kvstore::http
