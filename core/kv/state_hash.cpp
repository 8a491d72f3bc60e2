#include "kv/state_hash.hpp"

#include "kv/reader.hpp"
#include "kv/types.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvstore::kv {
namespace {

constexpr uint64_t kPairsPerStopCheck = 64;

void add(XXH3_state_t* state, Bytes bytes) {
  const uint64_t size = bytes.size();
  XXH3_64bits_update(state, &size, sizeof size);
  XXH3_64bits_update(state, bytes.data(), bytes.size());
}

}  // namespace

Result<StateHash> hash_state(View& view, const std::function<bool()>& stop) {
  Result<AppliedMark> mark = view.applied();
  if (!mark) return mark.status();
  Result<uint64_t> revision = read_revision(view);
  if (!revision) return revision.status();
  StateHash out{mark->term, mark->index, *revision, 0, 0};
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  bool stopped = false;
  for (uint32_t space = 0; space < kSpaceCount && !stopped; ++space) {
    XXH3_64bits_update(&state, &space, sizeof space);
    ScanOptions all;
    all.space = space;
    Status scanned = view.scan(all, [&](Bytes key, Bytes value) {
      add(&state, key);
      add(&state, value);
      stopped = ++out.pairs % kPairsPerStopCheck == 0 && stop();
      return !stopped;
    });
    if (!scanned) return scanned;
  }
  if (stopped) return Status(Code::kCancelled, "the node is shutting down");
  out.hash = XXH3_64bits_digest(&state);
  return out;
}

}  // namespace kvstore::kv
