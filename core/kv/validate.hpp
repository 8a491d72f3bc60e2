// What a transaction must look like, whatever the store holds.
#pragma once

#include "base/status.hpp"
#include "kv/types.hpp"

namespace kvstore::kv {

// INVALID, naming the compare or operation and what is wrong with it; the state machine answers a
// command with the same status, so checking before a proposal only saves the way through the log.
//
// Single keys have 1..kKeyBytesMax bytes, the bounds of ranges at most that, and kUntil an end.
// A put names a single key and has either an inline value of at most kPartBytes or an upload, and
// at most one of a lease and a ttl.
// Within one branch a key is put at most once; within the transaction an upload is named at most
// once.  Flags are those that the kind of operation knows.  A request id and its principal have
// the bounds of RequestId.
Status validate_txn(const Txn& txn);

// INVALID, naming the limits, unless it is kTtlMsMin..kTtlMsMax.
Status validate_ttl(uint64_t ttl_ms);

// INVALID unless the range obeys the rules above.
Status validate_range(const Range& range);

}  // namespace kvstore::kv
