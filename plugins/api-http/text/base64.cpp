#include "text/base64.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace kvstore::http {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint32_t kBad = 0x80000000u;

// Two characters for every 12 bits: half the look-ups of one character at a time.
constexpr auto kPairs = [] {
  std::array<char, 8192> pairs{};
  for (size_t i = 0; i < 4096; ++i) {
    pairs[2 * i] = kAlphabet[i >> 6];
    pairs[2 * i + 1] = kAlphabet[i & 63];
  }
  return pairs;
}();

constexpr auto kValues = [] {
  std::array<uint32_t, 256> values{};
  for (auto& v : values) v = kBad;
  for (uint32_t i = 0; i < 64; ++i) values[static_cast<uint8_t>(kAlphabet[i])] = i;
  return values;
}();

uint32_t value_of(char c) {
  return kValues[static_cast<uint8_t>(c)];
}

// Groups decoded between two appends.
constexpr size_t kBlockGroups = 1024;

// Decodes full groups without padding, at most kBlockGroups; returns how many.
size_t decode_groups(std::string_view in, std::string* out) {
  char block[kBlockGroups * 3];
  const size_t groups = std::min(in.size() / 4, kBlockGroups);
  char* to = block;
  size_t g = 0;
  for (; g < groups; ++g, to += 3) {
    const char* from = in.data() + g * 4;
    const uint32_t a = value_of(from[0]), b = value_of(from[1]);
    const uint32_t c = value_of(from[2]), d = value_of(from[3]);
    if (((a | b | c | d) & kBad) != 0) break;
    const uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    to[0] = static_cast<char>(bits >> 16);
    to[1] = static_cast<char>(bits >> 8);
    to[2] = static_cast<char>(bits);
  }
  out->append(block, g * 3);
  return g;
}

void put_bytes(uint32_t bits24, size_t count, std::string* out) {
  const char bytes[3] = {static_cast<char>(bits24 >> 16), static_cast<char>(bits24 >> 8),
                         static_cast<char>(bits24)};
  out->append(bytes, count);
}

}  // namespace

void base64_append(std::string_view in, std::string* out) {
  const size_t start = out->size();
  out->resize(start + base64_length(in.size()));
  char* to = out->data() + start;
  const auto* from = reinterpret_cast<const uint8_t*>(in.data());
  size_t left = in.size();
  for (; left >= 3; left -= 3, from += 3, to += 4) {
    uint32_t bits = static_cast<uint32_t>(from[0] << 16 | from[1] << 8 | from[2]);
    std::memcpy(to, &kPairs[2 * (bits >> 12)], 2);
    std::memcpy(to + 2, &kPairs[2 * (bits & 4095)], 2);
  }
  if (left == 0) return;
  uint32_t bits = static_cast<uint32_t>(from[0]) << 16;
  if (left == 2) bits |= static_cast<uint32_t>(from[1]) << 8;
  std::memcpy(to, &kPairs[2 * (bits >> 12)], 2);
  to[2] = left == 2 ? kAlphabet[(bits >> 6) & 63] : '=';
  to[3] = '=';
}

std::string base64url_encode(std::string_view in) {
  std::string out;
  base64_append(in, &out);
  while (!out.empty() && out.back() == '=') out.pop_back();
  for (char& c : out) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return out;
}

bool base64url_decode(std::string_view in, std::string* out) {
  std::string standard(in);
  for (char& c : standard) {
    if (c == '+' || c == '/' || c == '=') return false;
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  while (standard.size() % 4 != 0) standard.push_back('=');
  Base64Decoder decoder;
  return decoder.feed(standard, out) && decoder.finish();
}

size_t Base64Decoder::take(std::string_view in, std::string* out) {
  size_t i = 0;
  while (i < in.size() && pending_ != 0) {
    if (!feed_one(in[i], out)) return i;
    ++i;
  }
  while (!ended_) {
    const size_t groups = decode_groups(in.substr(i), out);
    i += groups * 4;
    if (groups < kBlockGroups) break;
  }
  while (i < in.size() && feed_one(in[i], out)) ++i;
  return i;
}

bool Base64Decoder::feed_one(char c, std::string* out) {
  if (ended_) return false;
  if (c == '=') {
    if (pending_ < 2) return false;
    ++padding_;
    bits_ <<= 6;
  } else {
    const uint32_t v = value_of(c);
    if (v == kBad || padding_ != 0) return false;
    bits_ = bits_ << 6 | v;
  }
  if (++pending_ == 4) return close_group(out);
  return true;
}

bool Base64Decoder::close_group(std::string* out) {
  const uint32_t unused = padding_ == 2 ? 0xFFFFu : padding_ == 1 ? 0xFFu : 0u;
  if ((bits_ & unused) != 0) return false;
  put_bytes(bits_, 3 - padding_, out);
  ended_ = padding_ != 0;
  pending_ = 0;
  bits_ = 0;
  return true;
}

}  // namespace kvstore::http
