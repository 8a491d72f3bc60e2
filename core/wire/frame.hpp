// What travels in one transport message: a kind, then the body of that kind.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/status.hpp"

namespace kvstore::wire {

// Versions of the format that this build can speak; announced in the hello.
inline constexpr uint32_t kVersionMin = 1;
inline constexpr uint32_t kVersionMax = 1;

enum class FrameKind : uint8_t {
  kRaft = 1,            // raft_codec.hpp; its header begins with this byte
  kForwardRequest = 2,  // peer_codec.hpp
  kForwardResponse = 3,
  kControlRequest = 4,
  kControlResponse = 5,
};

// CORRUPT for empty bytes, UNSUPPORTED for an unknown kind.
Result<FrameKind> frame_kind(Bytes payload);

}  // namespace kvstore::wire
