// What a thread calls when the node cannot go on.
#pragma once

#include <functional>

#include "base/status.hpp"

namespace kvstore::node::runtime {

// [any-thread] The first call stops the node; the process is expected to end soon after.
using FatalFn = std::function<void(const Status&)>;

// Whether a failed read says that the state cannot be trusted or read any more, rather than that
// something was scarce at the moment.
inline bool condemns_state(Code code) {
  return code == Code::kCorrupt || code == Code::kIo;
}

}  // namespace kvstore::node::runtime
