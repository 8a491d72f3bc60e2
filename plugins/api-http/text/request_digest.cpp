#include "text/request_digest.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvstore::http {
namespace {

// Keys of clients are visible ASCII.
constexpr char kPieceMark = '\x01';

void append_le64(uint64_t number, std::string* out) {
  for (int i = 0; i < 8; ++i) out->push_back(static_cast<char>(number >> (8 * i) & 0xff));
}

}  // namespace

DigestBuilder& DigestBuilder::add(std::string_view bytes) {
  append_le64(bytes.size(), &fields_);
  fields_.append(bytes);
  return *this;
}

DigestBuilder& DigestBuilder::add(uint64_t number) {
  append_le64(number, &fields_);
  return *this;
}

RequestDigest DigestBuilder::sum() const {
  const XXH128_hash_t hash = XXH3_128bits(fields_.data(), fields_.size());
  return {hash.low64, hash.high64};
}

std::string piece_id(std::string_view key, const RequestDigest& digest, char kind, uint64_t number,
                     uint64_t part) {
  const RequestDigest whole = DigestBuilder().add(key).add(digest.low).add(digest.high).sum();
  std::string id(1, kPieceMark);
  append_le64(whole.low, &id);
  append_le64(whole.high, &id);
  id.push_back(kind);
  id.append(std::to_string(number));
  if (part != 0) id.append(".").append(std::to_string(part));
  return id;
}

}  // namespace kvstore::http
