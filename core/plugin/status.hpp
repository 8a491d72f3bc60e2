// Between kvs_status/kvs_error of the ABI and Code/Status of the core.
#pragma once

#include <string_view>

#include <kvstore/abi/base.h>

#include "base/status.hpp"

namespace kvstore::plugin {

static_assert(
    int32_t(Code::kOk) == KVS_OK && int32_t(Code::kInvalid) == KVS_E_INVALID &&
    int32_t(Code::kUnsupported) == KVS_E_UNSUPPORTED &&
    int32_t(Code::kIncompatible) == KVS_E_INCOMPATIBLE &&
    int32_t(Code::kNotFound) == KVS_E_NOT_FOUND && int32_t(Code::kEnd) == KVS_E_END &&
    int32_t(Code::kCompacted) == KVS_E_COMPACTED && int32_t(Code::kConflict) == KVS_E_CONFLICT &&
    int32_t(Code::kNotLeader) == KVS_E_NOT_LEADER && int32_t(Code::kBusy) == KVS_E_BUSY &&
    int32_t(Code::kTimeout) == KVS_E_TIMEOUT && int32_t(Code::kUnreachable) == KVS_E_UNREACHABLE &&
    int32_t(Code::kIndeterminate) == KVS_E_INDETERMINATE &&
    int32_t(Code::kCancelled) == KVS_E_CANCELLED && int32_t(Code::kClosed) == KVS_E_CLOSED &&
    int32_t(Code::kNoMemory) == KVS_E_NO_MEMORY && int32_t(Code::kNoSpace) == KVS_E_NO_SPACE &&
    int32_t(Code::kIo) == KVS_E_IO && int32_t(Code::kCorrupt) == KVS_E_CORRUPT &&
    int32_t(Code::kInternal) == KVS_E_INTERNAL);

constexpr kvs_status to_abi(Code code) {
  return static_cast<kvs_status>(code);
}

// A number that is no status of the ABI becomes kInternal: the plugin that returned it is broken.
Code to_code(kvs_status status);

// The caller-owned error of one call, ready to be passed as its last parameter.
class CallError {
 public:
  CallError() { raw_.struct_size = sizeof raw_; }

  kvs_error* raw() { return &raw_; }
  // The outcome `status` with this error's message; `doing` ("log.write") is put in front of it, so
  // that a failure names the call.  OK stays without a message.
  Status status(kvs_status status, std::string_view doing) const;

 private:
  kvs_error raw_{};
};

// For host functions that a plugin calls: writes `status` into the plugin's error (may be NULL; a
// message that does not fit is cut between UTF-8 characters) and returns its number.
kvs_status fill_error(kvs_error* err, const Status& status) noexcept;

}  // namespace kvstore::plugin
