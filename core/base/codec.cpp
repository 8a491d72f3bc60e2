#include "base/codec.hpp"

#include <bit>
#include <cstring>

namespace kvstore {

static_assert(std::endian::native == std::endian::little, "the formats are written natively");

void Encoder::u32(uint32_t v) {
  out_->append(reinterpret_cast<const char*>(&v), sizeof v);
}

void Encoder::u64(uint64_t v) {
  out_->append(reinterpret_cast<const char*>(&v), sizeof v);
}

void Encoder::varint(uint64_t v) {
  while (v >= 0x80) {
    u8(static_cast<uint8_t>(v | 0x80));
    v >>= 7;
  }
  u8(static_cast<uint8_t>(v));
}

void Encoder::bytes(Bytes b) {
  varint(b.size());
  raw(b);
}

bool Decoder::take(size_t count, Bytes* out) {
  if (!ok_ || count > in_.size()) {
    ok_ = false;
    return false;
  }
  *out = in_.substr(0, count);
  in_.remove_prefix(count);
  return true;
}

uint8_t Decoder::u8() {
  Bytes b;
  return take(1, &b) ? static_cast<uint8_t>(b[0]) : uint8_t{0};
}

uint32_t Decoder::u32() {
  uint32_t v = 0;
  Bytes b;
  if (take(sizeof v, &b)) std::memcpy(&v, b.data(), sizeof v);
  return v;
}

uint64_t Decoder::u64() {
  uint64_t v = 0;
  Bytes b;
  if (take(sizeof v, &b)) std::memcpy(&v, b.data(), sizeof v);
  return v;
}

uint64_t Decoder::varint() {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t byte = u8();
    if (!ok_) return 0;
    uint64_t bits = byte & 0x7fu;
    if (shift == 63 && bits > 1) break;  // does not fit 64 bits
    v |= bits << shift;
    if ((byte & 0x80u) != 0) continue;
    if (byte == 0 && shift != 0) break;  // longer than needed: one number has one encoding
    return v;
  }
  ok_ = false;
  return 0;
}

Bytes Decoder::bytes() {
  uint64_t count = varint();
  return raw(count);
}

Bytes Decoder::raw(size_t count) {
  Bytes b;
  take(count, &b);
  return b;
}

uint64_t Decoder::count(size_t min_element_bytes) {
  uint64_t n = varint();
  if (n > in_.size() / min_element_bytes) {
    ok_ = false;
    return 0;
  }
  return n;
}

void append_be64(std::string* out, uint64_t v) {
  v = __builtin_bswap64(v);
  out->append(reinterpret_cast<const char*>(&v), sizeof v);
}

void append_be32(std::string* out, uint32_t v) {
  v = __builtin_bswap32(v);
  out->append(reinterpret_cast<const char*>(&v), sizeof v);
}

uint64_t read_be64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap64(v);
}

uint32_t read_be32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_bswap32(v);
}

}  // namespace kvstore
