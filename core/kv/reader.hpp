// Reading items from a view: what GET, LIST and value downloads are made of.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "kv/record.hpp"
#include "kv/store.hpp"
#include "kv/types.hpp"

namespace kvstore::kv {

// An item whose views live during the call only.
struct ItemView {
  Bytes key;
  Bytes value;  // empty for keys-only and for values stored in parts
  uint64_t create_revision = 0;
  uint64_t mod_revision = 0;
  uint64_t version = 0;
  uint64_t lease = 0;
  uint64_t value_bytes = 0;
  bool in_parts = false;
  uint64_t ttl_ms = 0;
};
ItemView to_item(Bytes key, const Record& record, bool keys_only);
// Return false to stop.
using ItemSink = std::function<bool(const ItemView&)>;

struct ScanResult {
  uint64_t count = 0;  // items delivered, or matched with kOpCountOnly
  bool more = false;   // something ended the scan before the range did
  // When more: the key to go on from (inclusive; with kOpReverse: exclusive end).
  std::string cursor;
};

// The view's store revision.
Result<uint64_t> read_revision(View& view);

// Which revisions of the store the view can show: compacted..current.
struct Revisions {
  uint64_t current = 0;
  uint64_t compacted = 0;
};
Result<Revisions> read_revisions(View& view);
// What the functions below take for a read at this revision, 0 being the newest one.  INVALID for a
// revision that does not exist yet, COMPACTED, naming the oldest, for one that is given up.
Result<uint64_t> resolve_revision(const Revisions& revisions, uint64_t revision);

// All read at the revision `at`, which resolve_revision() returned; 0: the newest.
//
// NOT_FOUND when absent.
Status read_item(View& view, uint64_t at, Bytes key, const ItemSink& sink);
// Items of the range in key order (or reverse), at most `limit` (0: no limit) and, but for the
// first, at most bytes_max of keys and values.  flags: kOpKeysOnly, kOpCountOnly (counts the whole
// range whatever the limits, without calling the sink), kOpReverse.  INVALID for a range that
// validate_range() refuses.
Result<ScanResult> scan_items(View& view, uint64_t at, const Range& range, uint32_t flags,
                              uint64_t limit, uint64_t bytes_max, const ItemSink& sink);
// Bytes offset..offset+bytes of the key's value, in pieces of at most kPartBytes; fewer at its end.
// NOT_FOUND when the key is absent; CORRUPT when a part is missing.
Status read_value(View& view, uint64_t at, Bytes key, uint64_t offset, uint64_t bytes,
                  const GetSink& sink);

// The bounds [lower, upper) of a range for ScanOptions.  A range whose end is not above its start
// has no keys: *upper is then not empty and not above *lower.
void range_bounds(const Range& range, std::string* lower, std::string* upper);

// What is left of `range` from the cursor of its last page on.  A cursor from a client may be
// anything but empty: the rest never reaches out of the range.
Range continue_range(const Range& range, Bytes cursor, bool reverse);

}  // namespace kvstore::kv
