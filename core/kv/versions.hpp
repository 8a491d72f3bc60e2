// Which version of a key was in force at a revision, for single keys and for ranges.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/function_ref.hpp"
#include "kv/range.hpp"
#include "kv/record.hpp"
#include "kv/store.hpp"

namespace kvstore::kv {

// Looks up versions that were superseded; keeps its place in the store for the next look-up.
// One thread; ends before its view.
class OldVersions {
 public:
  explicit OldVersions(View* view) : view_(view) {}

  // The key's version that the first change above `at` superseded, whether it was in force at `at`
  // or is younger; false when nothing above `at` superseded one.  The record borrows from here
  // until the next call.
  Result<bool> find(Bytes key, uint64_t at, Record* record);

 private:
  View* view_;
  std::unique_ptr<Cursor> cursor_;
};

// The key's version in force at a revision, for which the view must still have the history: calls
// the visitor once, or returns NOT_FOUND.
Status visit_version(View& view, Bytes key, uint64_t at, FunctionRef<void(const Record&)> visit);

// The same for every key of the interval that existed, in key order (or reverse), in bounded
// memory. The visitor returns false to stop.
Status walk_versions(View& view, const KeyInterval& interval, uint64_t at, bool reverse,
                     FunctionRef<bool(Bytes key, const Record&)> visit);

}  // namespace kvstore::kv
