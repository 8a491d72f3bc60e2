#include "text/scalar.hpp"

#include <charconv>

namespace kvstore::http {
namespace {

uint64_t unit_ms(std::string_view unit) {
  if (unit.empty() || unit == "s") return 1000;
  if (unit == "ms") return 1;
  if (unit == "m") return 60 * 1000;
  if (unit == "h") return 3600 * 1000;
  return 0;
}

}  // namespace

std::optional<uint64_t> parse_unsigned(std::string_view text) {
  uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (text.empty() || text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return std::nullopt;
}

std::optional<uint64_t> parse_duration_ms(std::string_view text, uint64_t max_ms) {
  const size_t digits = text.find_first_not_of("0123456789.");
  const std::string_view number = text.substr(0, digits);
  const uint64_t unit =
      unit_ms(digits == std::string_view::npos ? std::string_view() : text.substr(digits));
  const size_t point = number.find('.');
  const auto whole = parse_unsigned(number.substr(0, point));
  if (unit == 0 || !whole || *whole > max_ms) return std::nullopt;
  uint64_t ms = *whole * unit;
  if (point != std::string_view::npos) {
    const std::string_view decimals = number.substr(point + 1);
    const auto fraction = parse_unsigned(decimals);
    if (!fraction || decimals.size() > 6) return std::nullopt;
    uint64_t scale = 1;
    for (size_t i = 0; i < decimals.size(); ++i) scale *= 10;
    ms += *fraction * unit / scale;
  }
  if (ms > max_ms) return std::nullopt;
  return ms;
}

}  // namespace kvstore::http
