// Makes a history that cannot be explained small enough to be read; part of linearizability.
#pragma once

#include <cstdint>
#include <vector>

#include "support/history/operation.hpp"

namespace kvstore::history {

// `operations` are one group and not linearizable; the result is a part of them and not
// linearizable either.  Spends at most about `steps_max` steps of search.
History shrink(const std::vector<const Operation*>& operations, uint64_t steps_max);

}  // namespace kvstore::history
