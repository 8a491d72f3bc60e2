// What a request asks for, in 128 bits, and the ids of its pieces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvstore::http {

struct RequestDigest {
  uint64_t low = 0, high = 0;
  bool operator==(const RequestDigest&) const = default;
};

// Over a sequence of fields: texts and numbers that differ, or are divided otherwise, give another
// digest.
class DigestBuilder {
 public:
  DigestBuilder& add(std::string_view bytes);
  DigestBuilder& add(uint64_t number);
  RequestDigest sum() const;

 private:
  std::string fields_;
};

// The id of a piece of the request under `key`: at most 64 bytes, the same on every node, and equal
// to no key that a header can carry.  kind tells apart what is numbered on its own; part divides a
// piece further.
std::string piece_id(std::string_view key, const RequestDigest& digest, char kind, uint64_t number,
                     uint64_t part = 0);

}  // namespace kvstore::http
