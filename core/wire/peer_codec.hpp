// Node-to-node requests on the CLIENT lane: proposals forwarded to the leader, and administrative
// calls.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "base/status.hpp"

namespace kvstore::wire {

// A command that the sender's client wants proposed.  The receiver proposes it if it leads, and
// never forwards it again.
struct ForwardRequest {
  uint64_t request = 0;  // the sender's number for the answer
  uint64_t timeout_ms = 0;
  SharedBytes command;  // kv::encode_command
  bool operator==(const ForwardRequest&) const = default;
};

struct ForwardResponse {
  uint64_t request = 0;
  Code code =
      Code::kOk;  // NOT_LEADER, BUSY: not proposed; INDETERMINATE: perhaps; OK: `result` says
  std::string message;
  uint64_t term = 0;
  uint64_t index = 0;
  SharedBytes result;  // kv::encode_result
  bool operator==(const ForwardResponse&) const = default;
};

struct ControlRequest {
  uint64_t request = 0;
  uint64_t timeout_ms = 0;
  std::string verb;
  std::string json;
  bool operator==(const ControlRequest&) const = default;
};

struct ControlResponse {
  uint64_t request = 0;
  Code code = Code::kOk;
  std::string message;
  std::string json;
  bool operator==(const ControlResponse&) const = default;
};

std::string encode(const ForwardRequest& m);
std::string encode(const ForwardResponse& m);
std::string encode(const ControlRequest& m);
std::string encode(const ControlResponse& m);
Result<ForwardRequest> decode_forward_request(const SharedBytes& payload);
Result<ForwardResponse> decode_forward_response(const SharedBytes& payload);
Result<ControlRequest> decode_control_request(const SharedBytes& payload);
Result<ControlResponse> decode_control_response(const SharedBytes& payload);

}  // namespace kvstore::wire
