// Base64 (RFC 4648), strict and incremental: values travel through it in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvstore::http {

// Length of the encoding of `bytes` bytes, padding included.
constexpr uint64_t base64_length(uint64_t bytes) {
  return (bytes + 2) / 3 * 4;
}

// Appends the encoding of `in`, padded.  To encode in pieces, make every piece but the last a
// multiple of three bytes.
void base64_append(std::string_view in, std::string* out);

// The URL alphabet without padding, for cursors.
std::string base64url_encode(std::string_view in);
// False unless `in` is exactly what base64url_encode gives.
bool base64url_decode(std::string_view in, std::string* out);

// Decodes the standard alphabet piece by piece.  Only canonical input is accepted: full padding, no
// white space, no bits set behind the last byte.
class Base64Decoder {
 public:
  // Appends what can be decoded; returns how many bytes it took: all, or those before the first one
  // that does not belong there.
  size_t take(std::string_view in, std::string* out);
  // True when it took all.
  bool feed(std::string_view in, std::string* out) { return take(in, out) == in.size(); }
  // True when the input ended at a full group.
  bool finish() const { return pending_ == 0; }

 private:
  bool feed_one(char c, std::string* out);
  bool close_group(std::string* out);

  uint32_t bits_ = 0;     // of the group begun
  uint32_t pending_ = 0;  // its characters so far, padding included
  uint32_t padding_ = 0;  // '=' seen; after the group that has them nothing may follow
  bool ended_ = false;
};

}  // namespace kvstore::http
