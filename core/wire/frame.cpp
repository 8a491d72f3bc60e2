#include "wire/frame.hpp"

#include <fmt/format.h>

#include "base/codec.hpp"
#include "base/crc32c.hpp"
#include "wire/checked_frame.hpp"

namespace kvstore::wire {

Result<FrameKind> frame_kind(Bytes payload) {
  if (payload.empty()) return Status(Code::kCorrupt, "message: empty");
  auto kind = static_cast<uint8_t>(payload[0]);
  if (kind < static_cast<uint8_t>(FrameKind::kRaft) ||
      kind > static_cast<uint8_t>(FrameKind::kControlResponse))
    return Status(Code::kUnsupported, fmt::format("message: kind {} is unknown", kind));
  return static_cast<FrameKind>(kind);
}

void append_checksum(std::string* frame) {
  Encoder(frame).u32(crc32c(0, *frame));
}

Result<Bytes> checked_content(Bytes frame, const char* what) {
  if (frame.size() < sizeof(uint32_t))
    return Status(Code::kCorrupt, fmt::format("{}: cut short", what));
  Bytes content = frame.substr(0, frame.size() - sizeof(uint32_t));
  Decoder sum(frame.substr(content.size()));
  if (sum.u32() != crc32c(0, content))
    return Status(Code::kCorrupt, fmt::format("{}: wrong checksum", what));
  return content;
}

}  // namespace kvstore::wire
