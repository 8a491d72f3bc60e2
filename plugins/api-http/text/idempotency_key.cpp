#include "text/idempotency_key.hpp"

namespace kvstore::http {
namespace {

bool is_visible(char c) {
  return c > ' ' && c < '\x7f';
}

// The string without its quotes and escapes.
std::optional<std::string> unquote(std::string_view text) {
  std::string out;
  for (size_t i = 1; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      if (i + 1 != text.size()) return std::nullopt;
      return out;
    }
    if (c == '\\') {
      if (++i == text.size()) return std::nullopt;
      c = text[i];
      if (c != '"' && c != '\\') return std::nullopt;
    } else if (!is_visible(c) && c != ' ') {
      return std::nullopt;
    }
    out.push_back(c);
  }
  return std::nullopt;  // not closed
}

std::optional<std::string> plain(std::string_view text) {
  for (const char c : text) {
    // A comma would be a second key, from a second header.
    if (!is_visible(c) || c == '"' || c == ',') return std::nullopt;
  }
  return std::string(text);
}

}  // namespace

std::optional<std::string> parse_idempotency_key(std::string_view header) {
  while (!header.empty() && (header.front() == ' ' || header.front() == '\t'))
    header.remove_prefix(1);
  while (!header.empty() && (header.back() == ' ' || header.back() == '\t'))
    header.remove_suffix(1);
  if (header.empty()) return std::nullopt;
  std::optional<std::string> key = header.front() == '"' ? unquote(header) : plain(header);
  if (!key || key->empty() || key->size() > kIdempotencyKeyBytesMax) return std::nullopt;
  return key;
}

}  // namespace kvstore::http
