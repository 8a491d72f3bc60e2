#include "base/crc32c.hpp"

#include <isa-l/crc.h>

namespace kvstore {

uint32_t crc32c(uint32_t crc, Bytes bytes) {
  // ISA-L takes a non-const pointer and an int length; it never writes, and pieces stay far below 2
  // GiB.
  constexpr size_t kPiece = size_t{1} << 30;
  auto* data = const_cast<unsigned char*>(as_u8(bytes));
  uint32_t state = ~crc;
  for (size_t left = bytes.size(); left > 0;) {
    size_t piece = left < kPiece ? left : kPiece;
    state = crc32_iscsi(data, static_cast<int>(piece), state);
    data += piece;
    left -= piece;
  }
  return ~state;
}

}  // namespace kvstore
