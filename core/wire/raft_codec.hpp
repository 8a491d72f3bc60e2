// Raft messages as bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/status.hpp"
#include "raft/message.hpp"

namespace kvstore::wire {

// A message as a gather list: a header, then the entries' data without a copy.
struct EncodedMessage {
  std::vector<SharedBytes> parts;
  size_t bytes = 0;
};

EncodedMessage encode_message(const raft::Message& message);

// Untrusted bytes to a validated message: every count and length fits, the entries are contiguous,
// start after `log` and have non-decreasing terms not above the message's, and every entry's
// checksum holds.  Entry data are slices of `payload`, which stays alive with them.  CORRUPT names
// what is wrong.
Result<raft::Message> decode_message(const SharedBytes& payload);

}  // namespace kvstore::wire
