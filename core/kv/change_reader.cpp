#include "kv/change_reader.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "kv/range.hpp"
#include "kv/validate.hpp"
#include "kv/versions.hpp"

namespace kvstore::kv {
namespace {

// One change within the range, kept while the next one is looked for.
struct Found {
  ChangePosition position;
  std::string key;
  bool had_before = false;
  bool has_after = false;
};

class ChangeWalk {
 public:
  ChangeWalk(View* view, const ChangeOptions& options, const ChangeSink& sink)
      : view_(*view), options_(options), interval_(options.range), sink_(sink), old_(view) {}

  Result<ChangesResult> run(ChangePosition from, uint64_t revision) {
    ScanOptions scan;
    scan.space = kSpaceChanges;
    scan.lower = change_key(from);
    scan.upper = change_key({revision + 1, 0});
    auto opened = view_.cursor(scan);
    if (!opened) return opened.status();
    cursor_ = std::move(*opened);
    if (Status s = advance(); !s) return s;
    while (next_) {
      Found change = std::move(*next_);
      if (Status s = advance(); !s) return s;
      Result<bool> taken = deliver(change);
      if (!taken) return taken.status();
      if (result_.more) return result_;
      if (!*taken) {
        result_.more = true;
        result_.next = {change.position.revision, change.position.number + 1};
        return result_;
      }
    }
    result_.next = {revision + 1, 0};
    return result_;
  }

 private:
  // To the next change within the range.
  Status advance() {
    next_.reset();
    for (;;) {
      Result<bool> moved = cursor_->next();
      if (!moved) return moved.status();
      if (!*moved) return Status();
      auto position = parse_change_key(cursor_->key());
      if (!position) return position.status();
      auto change = decode_change(cursor_->value());
      if (!change) return change.status();
      if (!interval_.contains(change->key)) continue;
      next_ = Found{*position, std::string(change->key), change->had_before, change->has_after};
      return Status();
    }
  }

  // False when the sink stops; result_.more when the change did not fit.
  Result<bool> deliver(const Found& change) {
    const uint64_t at = change.position.revision;
    ChangeView out;
    out.kind = change.has_after ? ChangeView::Kind::kPut : ChangeView::Kind::kDelete;
    out.revision = at;
    out.more_of_revision = next_ && next_->position.revision == at;
    out.now.key = change.key;
    out.now.mod_revision = at;
    std::string before;
    ItemView prev;
    if (options_.with_prev && change.had_before) {
      Status s = read_before(change, &before, &prev);
      if (!s) return s;
      out.prev = &prev;
    }
    if (!change.has_after) return give(change, out);
    bool taken = false;
    bool right = true;
    auto with_item = [&](const Record& record) {
      right = record.mod_revision == at;
      out.now = to_item(change.key, record, false);
      taken = right && give(change, out);
    };
    Status s = visit_after(change.key, at, with_item);
    if (s.code() == Code::kNotFound || !right)
      return Status(Code::kCorrupt,
                    fmt::format("the version that revision {} made is missing", at));
    if (!s) return s;
    return taken;
  }

  // The version in force at the revision, by the kept cursor.
  Status visit_after(Bytes key, uint64_t at, FunctionRef<void(const Record&)> visit) {
    Record record;
    Result<bool> found = old_.find(key, at, &record);
    if (!found) return found.status();
    if (*found) {
      visit(record);
      return Status();
    }
    Status bad;
    Status read = view_.get(kSpaceUser, key, [&](Bytes bytes) {
      auto current = decode_record_of(key, bytes);
      if (current)
        visit(*current);
      else
        bad = current.status();
    });
    return read.is_ok() ? bad : read;
  }

  Status read_before(const Found& change, std::string* bytes, ItemView* item) {
    Status s = view_.get(kSpaceHistory, history_key(change.key, change.position.revision),
                         [&](Bytes stored) { bytes->assign(stored); });
    if (s.code() == Code::kNotFound)
      return Status(Code::kCorrupt, fmt::format("the version that revision {} replaced is missing",
                                                change.position.revision));
    if (!s) return s;
    auto record = decode_record_of(change.key, *bytes);
    if (!record) return record.status();
    *item = to_item(change.key, *record, false);
    return Status();
  }

  bool give(const Found& change, const ChangeView& view) {
    uint64_t bytes = view.now.key.size() + view.now.value.size();
    if (view.prev != nullptr) bytes += view.prev->value.size();
    const bool full = options_.changes_max != 0 && result_.count == options_.changes_max;
    const bool heavy =
        result_.count != 0 && bytes > options_.bytes_max - std::min(bytes_, options_.bytes_max);
    if (full || heavy) {
      result_.more = true;
      result_.next = change.position;
      return false;
    }
    bytes_ += bytes;
    result_.count++;
    return sink_(view);
  }

  View& view_;
  const ChangeOptions& options_;
  KeyInterval interval_;
  const ChangeSink& sink_;
  OldVersions old_;
  std::unique_ptr<Cursor> cursor_;
  std::optional<Found> next_;
  ChangesResult result_;
  uint64_t bytes_ = 0;
};

}  // namespace

Result<ChangesResult> read_changes(View& view, ChangePosition from, const ChangeOptions& options,
                                   const ChangeSink& sink) {
  if (Status s = validate_range(options.range); !s) return s;
  Result<Revisions> revisions = read_revisions(view);
  if (!revisions) return revisions.status();
  if (from.revision <= revisions->compacted)
    return Status(Code::kCompacted,
                  fmt::format("the changes of revision {} are compacted: the oldest are those of "
                              "revision {}",
                              from.revision, revisions->compacted + 1));
  ChangesResult nothing;
  nothing.next = from;
  if (from.revision > revisions->current) return nothing;
  return ChangeWalk(&view, options, sink).run(from, revisions->current);
}

}  // namespace kvstore::kv
