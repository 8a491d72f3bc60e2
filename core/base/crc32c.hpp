// CRC-32C (Castagnoli, RFC 3720 appendix B.4), computed by ISA-L.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace kvstore {

// Extends the checksum `crc` of what came before by `bytes`; start with 0.
uint32_t crc32c(uint32_t crc, Bytes bytes);

}  // namespace kvstore
