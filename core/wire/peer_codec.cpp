#include "wire/peer_codec.hpp"

#include <fmt/format.h>

#include "base/codec.hpp"
#include "wire/checked_frame.hpp"
#include "wire/frame.hpp"

namespace kvstore::wire {
namespace {

constexpr size_t kFrameOverhead = 64;

std::string begin(FrameKind kind, uint64_t request, size_t content_bytes) {
  std::string out;
  out.reserve(kFrameOverhead + content_bytes);
  Encoder e(&out);
  e.u8(static_cast<uint8_t>(kind));
  e.varint(request);
  return out;
}

std::string finish(std::string frame) {
  append_checksum(&frame);
  return frame;
}

// Reads one frame of an expected kind; what it returns borrows from the payload.
class FrameReader {
 public:
  FrameReader(const SharedBytes& payload, FrameKind kind, const char* what)
      : payload_(payload), what_(what), in_(Bytes()) {
    auto content = checked_content(payload.view(), what);
    if (!content) {
      failed_ = content.status();
      in_.fail();
      return;
    }
    in_ = Decoder(*content);
    if (in_.u8() != static_cast<uint8_t>(kind)) reject("another kind of frame");
  }

  Decoder& in() { return in_; }

  SharedBytes shared() {
    Bytes bytes = in_.bytes();
    if (bytes.empty()) return SharedBytes();
    return payload_.slice(static_cast<size_t>(bytes.data() - payload_.data()), bytes.size());
  }

  Code code() {
    auto number = static_cast<int32_t>(in_.u32());
    if (in_.ok() && code_name(static_cast<Code>(number)) == "unknown")
      reject(fmt::format("code {} is unknown", number));
    return static_cast<Code>(number);
  }

  void reject(const std::string& reason) {
    if (failed_.is_ok()) failed_ = Status(Code::kCorrupt, fmt::format("{}: {}", what_, reason));
    in_.fail();
  }

  // Call once at the end.
  Status done() {
    if (!in_.ok()) reject("malformed or cut short");
    if (!in_.done()) reject("bytes behind its end");
    return failed_;
  }

 private:
  const SharedBytes& payload_;
  const char* what_;
  Decoder in_;
  Status failed_;
};

template <typename T>
Result<T> result_of(FrameReader& reader, T& message) {
  if (Status s = reader.done(); !s) return s;
  return std::move(message);
}

}  // namespace

std::string encode(const ForwardRequest& m) {
  std::string out = begin(FrameKind::kForwardRequest, m.request, m.command.size());
  Encoder e(&out);
  e.varint(m.timeout_ms);
  e.bytes(m.command.view());
  return finish(std::move(out));
}

std::string encode(const ForwardResponse& m) {
  std::string out =
      begin(FrameKind::kForwardResponse, m.request, m.message.size() + m.result.size());
  Encoder e(&out);
  e.u32(static_cast<uint32_t>(m.code));
  e.bytes(m.message);
  e.varint(m.term);
  e.varint(m.index);
  e.bytes(m.result.view());
  return finish(std::move(out));
}

std::string encode(const ControlRequest& m) {
  std::string out = begin(FrameKind::kControlRequest, m.request, m.verb.size() + m.json.size());
  Encoder e(&out);
  e.varint(m.timeout_ms);
  e.bytes(m.verb);
  e.bytes(m.json);
  return finish(std::move(out));
}

std::string encode(const ControlResponse& m) {
  std::string out = begin(FrameKind::kControlResponse, m.request, m.message.size() + m.json.size());
  Encoder e(&out);
  e.u32(static_cast<uint32_t>(m.code));
  e.bytes(m.message);
  e.bytes(m.json);
  return finish(std::move(out));
}

Result<ForwardRequest> decode_forward_request(const SharedBytes& payload) {
  FrameReader reader(payload, FrameKind::kForwardRequest, "forwarded request");
  ForwardRequest m;
  m.request = reader.in().varint();
  m.timeout_ms = reader.in().varint();
  m.command = reader.shared();
  return result_of(reader, m);
}

Result<ForwardResponse> decode_forward_response(const SharedBytes& payload) {
  FrameReader reader(payload, FrameKind::kForwardResponse, "answer to a forwarded request");
  ForwardResponse m;
  m.request = reader.in().varint();
  m.code = reader.code();
  m.message = reader.in().bytes();
  m.term = reader.in().varint();
  m.index = reader.in().varint();
  m.result = reader.shared();
  return result_of(reader, m);
}

Result<ControlRequest> decode_control_request(const SharedBytes& payload) {
  FrameReader reader(payload, FrameKind::kControlRequest, "control request");
  ControlRequest m;
  m.request = reader.in().varint();
  m.timeout_ms = reader.in().varint();
  m.verb = reader.in().bytes();
  m.json = reader.in().bytes();
  return result_of(reader, m);
}

Result<ControlResponse> decode_control_response(const SharedBytes& payload) {
  FrameReader reader(payload, FrameKind::kControlResponse, "answer to a control request");
  ControlResponse m;
  m.request = reader.in().varint();
  m.code = reader.code();
  m.message = reader.in().bytes();
  m.json = reader.in().bytes();
  return result_of(reader, m);
}

}  // namespace kvstore::wire
