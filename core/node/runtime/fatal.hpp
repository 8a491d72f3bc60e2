// What a thread calls when the node cannot go on.
#pragma once

#include <functional>

#include "base/status.hpp"

namespace kvstore::node::runtime {

// [any-thread] The first call stops the node; the process is expected to end soon after.
using FatalFn = std::function<void(const Status&)>;

}  // namespace kvstore::node::runtime
