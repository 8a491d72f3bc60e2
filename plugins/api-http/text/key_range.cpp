#include "text/key_range.hpp"

#include <kvstore/sdk/slice.hpp>

#include "text/base64.hpp"

namespace kvstore::http {
namespace {

constexpr char kCursorVersion = 1;
constexpr size_t kFingerprintBytes = 8;

// FNV-1a; a guard against mistakes, not against forgery: a forged cursor reads what a range reads.
uint64_t fingerprint(const KeyRange& range) {
  uint64_t hash = 0xcbf29ce484222325ull;
  const auto mix = [&hash](std::string_view bytes) {
    for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  };
  mix(range.reverse ? "r" : "f");
  mix(std::to_string(range.lower.size()));
  mix(range.lower);
  if (range.upper) mix("<" + *range.upper);
  return hash;
}

std::string cursor_head(const KeyRange& range) {
  std::string head(1, kCursorVersion);
  const uint64_t hash = fingerprint(range);
  for (size_t i = 0; i < kFingerprintBytes; ++i) {
    head.push_back(static_cast<char>(hash >> (8 * i)));
  }
  return head;
}

}  // namespace

KeyRange KeyRange::of_prefix(std::string_view prefix) {
  KeyRange range;
  range.lower = prefix;
  std::string upper(prefix);
  while (!upper.empty() && upper.back() == '\xff') upper.pop_back();
  if (!upper.empty()) {
    upper.back() = static_cast<char>(upper.back() + 1);
    range.upper = std::move(upper);
  }
  return range;
}

void KeyRange::continue_after(std::string_view last) {
  if (reverse) {
    upper = last;
  } else {
    lower = last;
    lower.push_back('\0');
  }
}

kvs_range KeyRange::to_abi() const {
  kvs_range range{};
  range.key = sdk::slice(lower);
  range.kind = KVS_RANGE_FROM;
  if (upper) {
    range.end = sdk::slice(*upper);
    range.kind = KVS_RANGE_UNTIL;
  } else if (lower.empty()) {
    range.kind = KVS_RANGE_ALL;
  }
  return range;
}

std::string encode_cursor(const KeyRange& range, std::string_view last_key) {
  return base64url_encode(cursor_head(range).append(last_key));
}

std::optional<std::string> decode_cursor(const KeyRange& range, std::string_view text) {
  std::string bytes;
  if (!base64url_decode(text, &bytes)) return std::nullopt;
  const std::string head = cursor_head(range);
  if (bytes.size() <= head.size() || bytes.compare(0, head.size(), head) != 0) return std::nullopt;
  return bytes.substr(head.size());
}

}  // namespace kvstore::http
