// The keys and values of the two spaces that hold the past: superseded versions by key and
// revision, and changed keys by revision.
//
// A version that `mod_revision` made and a change at revision S superseded was in force at the
// revisions mod_revision <= r < S.  It is stored under (key, S) in space 3; a change that created
// the key has no such entry.  So the version in force at r is that of the key's first entry above
// r, or the current one without such an entry, provided that its mod_revision is not above r.
#pragma once

#include <cstdint>
#include <string>

#include "kv/types.hpp"

namespace kvstore::kv {

// ---- space 3

// Orders by key, then by revision; history_begin(key) <= history_key(key, any) < history_end(key),
// and nothing of another key lies between these two.
std::string history_key(Bytes key, uint64_t superseded);
std::string history_begin(Bytes key);
std::string history_end(Bytes key);

// The part of an entry's key that names the user's key, to tell whether two entries share it. Empty
// for what history_key() does not make.
Bytes history_prefix(Bytes history_key);

struct HistoryKey {
  std::string key;
  uint64_t superseded = 0;
};
// CORRUPT for anything that history_key() does not make.
Result<HistoryKey> parse_history_key(Bytes bytes);

// ---- space 4

// One for each key that a revision changed, in the order of the transaction's first change of it.
struct ChangePosition {
  uint64_t revision = 0;
  uint32_t number = 0;
  auto operator<=>(const ChangePosition&) const = default;
};
std::string change_key(ChangePosition position);
Result<ChangePosition> parse_change_key(Bytes bytes);

// `key` is borrowed from whatever the change was decoded from or will be encoded from.
struct Change {
  Bytes key;
  bool had_before = false;     // space 3 has the version from before
  bool has_after = false;      // the key exists after the revision
  uint64_t before_bytes = 0;   // of the encoded version before, and of its parts
  uint64_t before_upload = 0;  // not 0: the version before has its value in these parts
};
std::string encode_change(const Change& change);
Result<Change> decode_change(Bytes bytes);

// What a change takes in the store, as far as retention counts it: its keys, the version before
// with its parts, and something for each pair.
uint64_t change_cost(const Change& change);

}  // namespace kvstore::kv
