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

inline constexpr uint64_t kDurationMaxMs = uint64_t{24} * 3600 * 1000;
// The longest TTL; the shortest one is the engine's to say.
inline constexpr uint64_t kTtlMaxMs = 365 * kDurationMaxMs;

// "250ms", "2s", "1.5s", "5m", "1h"; a bare number is seconds.  In milliseconds; at most max_ms,
// which is at most kTtlMaxMs.
std::optional<uint64_t> parse_duration_ms(std::string_view text, uint64_t max_ms = kDurationMaxMs);

}  // namespace kvstore::http
