// The checksum that closes every small frame of ours: CRC-32C over all bytes before it.
#pragma once

#include <string>

#include "base/bytes.hpp"
#include "base/status.hpp"

namespace kvstore::wire {

void append_checksum(std::string* frame);
// The frame without its checksum; CORRUPT, beginning with `what`, when it does not hold.
Result<Bytes> checked_content(Bytes frame, const char* what);

}  // namespace kvstore::wire
