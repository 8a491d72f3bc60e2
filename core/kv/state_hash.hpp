// A fingerprint of the whole state that does not depend on the engine that keeps it.
#pragma once

#include <cstdint>
#include <functional>

#include "kv/store.hpp"

namespace kvstore::kv {

struct StateHash {
  uint64_t term = 0;
  uint64_t index = 0;  // the state as of this entry
  uint64_t revision = 0;
  uint64_t pairs = 0;  // in all spaces
  uint64_t hash = 0;   // XXH3-64 over every pair, length-prefixed, by space and key
};

// Reads the whole view.  CANCELLED when `stop` returns true; it is asked every few pairs.
Result<StateHash> hash_state(View& view, const std::function<bool()>& stop);

}  // namespace kvstore::kv
