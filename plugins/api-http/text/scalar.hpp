// Numbers, booleans and durations as they stand in queries.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvstore::http {

// Decimal digits only, within 64 bits.
std::optional<uint64_t> parse_unsigned(std::string_view text);

// "true", "1" and a bare name are true; "false" and "0" are false.
std::optional<bool> parse_boolean(std::string_view text);

// "250ms", "2s", "1.5s", "5m", "1h"; a bare number is seconds.  In milliseconds; at most 24 h.
std::optional<uint64_t> parse_duration_ms(std::string_view text);

}  // namespace kvstore::http
