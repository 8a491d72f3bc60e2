#include "base/status.hpp"

namespace kvstore {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kInvalid:
      return "invalid";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kIncompatible:
      return "incompatible";
    case Code::kNotFound:
      return "not_found";
    case Code::kEnd:
      return "end";
    case Code::kCompacted:
      return "compacted";
    case Code::kConflict:
      return "conflict";
    case Code::kNotLeader:
      return "not_leader";
    case Code::kBusy:
      return "busy";
    case Code::kTimeout:
      return "timeout";
    case Code::kUnreachable:
      return "unreachable";
    case Code::kIndeterminate:
      return "indeterminate";
    case Code::kCancelled:
      return "cancelled";
    case Code::kClosed:
      return "closed";
    case Code::kNoMemory:
      return "no_memory";
    case Code::kNoSpace:
      return "no_space";
    case Code::kIo:
      return "io";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kInternal:
      return "internal";
  }
  return "unknown";
}

std::string Status::to_string() const {
  std::string text(code_name(code_));
  if (!message_.empty()) text.append(": ").append(message_);
  return text;
}

}  // namespace kvstore
