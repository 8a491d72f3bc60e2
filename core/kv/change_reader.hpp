// What changed, revision by revision: what a watch that starts in the past reads.
#pragma once

#include <cstdint>
#include <functional>

#include "base/function_ref.hpp"
#include "kv/history.hpp"
#include "kv/reader.hpp"
#include "kv/versions.hpp"

namespace kvstore::kv {

// Views live during the call only.
struct ChangeView {
  enum class Kind : uint8_t { kPut, kDelete };
  Kind kind = Kind::kPut;
  uint64_t revision = 0;
  // A further change of this revision within the range follows, in this call or behind its end.
  bool more_of_revision = false;
  ItemView now;                    // after a delete the key and the revision alone
  const ItemView* prev = nullptr;  // before the change; null unless asked for, or there was none
};
// Return false to stop.
using ChangeSink = std::function<bool(const ChangeView&)>;

struct ChangeOptions {
  Range range;
  bool with_prev = false;
  uint64_t changes_max = 0;         // delivered at most; 0: no limit
  uint64_t bytes_max = UINT64_MAX;  // of keys and values, but for the first change
  // Stored changes looked at before it ends with `more`, within the range or not, but for those
  // that tell whether a delivered change is the last of its revision; 0: no limit.
  uint64_t scanned_max = 0;
};

struct ChangesResult {
  uint64_t count = 0;
  // Where to go on: nothing below it is left to deliver.  Without `more` it is the first position
  // above the view's revision.
  ChangePosition next;
  bool more = false;  // a limit or the sink ended it
};

// Changes of keys in the range from the position on, in order.  Nothing, for a position above the
// view's revision.  COMPACTED, naming the oldest revision, at or below the compacted one.
Result<ChangesResult> read_changes(View& view, ChangePosition from, const ChangeOptions& options,
                                   const ChangeSink& sink);

// Reads what stored changes did: the version that each left and the one it replaced.  Keeps its
// place in the store from one change to the next.  One thread; ends before its view.
class ChangeLoader {
 public:
  explicit ChangeLoader(View* view) : view_(*view), old_(view) {}

  // Calls the visitor once, with more_of_revision unset.  Views live during the call.  CORRUPT when
  // a version that must be there is missing: only for changes above the compacted revision.
  Status load(ChangePosition at, const Change& change, bool with_prev,
              FunctionRef<void(const ChangeView&)> visit);

 private:
  Status visit_after(Bytes key, uint64_t at, FunctionRef<void(const Record&)> visit);
  Status read_before(Bytes key, uint64_t at, std::string* bytes, ItemView* item);

  View& view_;
  OldVersions old_;
};

}  // namespace kvstore::kv
