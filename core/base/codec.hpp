// Little-endian fixed-width and LEB128 variable-width encoding, the base of every format of ours.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.hpp"

namespace kvstore {

// Appends to a string that it borrows.
class Encoder {
 public:
  explicit Encoder(std::string* out) : out_(out) {}

  void u8(uint8_t v) { out_->push_back(static_cast<char>(v)); }
  void u32(uint32_t v);
  void u64(uint64_t v);
  void varint(uint64_t v);
  // Length as varint, then the bytes.
  void bytes(Bytes b);
  // The bytes alone.
  void raw(Bytes b) { out_->append(b); }

 private:
  std::string* out_;
};

// Reads what Encoder wrote from untrusted input.  After any malformed or short read ok() is false
// for good and every further read returns zero or empty: check ok() once at the end.  Returned
// views borrow from the input.  A varint that is longer than needed is malformed: equal values have
// equal bytes.
class Decoder {
 public:
  explicit Decoder(Bytes in) : in_(in) {}

  uint8_t u8();
  uint32_t u32();
  uint64_t u64();
  uint64_t varint();
  Bytes bytes();
  Bytes raw(size_t count);

  // An element count for a sequence whose elements take at least `min_element_bytes` each: fails
  // when the rest of the input cannot hold that many, so that a count never drives an allocation.
  uint64_t count(size_t min_element_bytes = 1);

  void fail() { ok_ = false; }
  bool ok() const { return ok_; }
  // Everything was read and nothing failed.
  bool done() const { return ok_ && in_.empty(); }
  size_t remaining() const { return in_.size(); }

 private:
  bool take(size_t count, Bytes* out);

  Bytes in_;
  bool ok_ = true;
};

// Big-endian keys sort as numbers do.
void append_be64(std::string* out, uint64_t v);
void append_be32(std::string* out, uint32_t v);
uint64_t read_be64(const char* p);
uint32_t read_be32(const char* p);

}  // namespace kvstore
