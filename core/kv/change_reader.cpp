#include "kv/change_reader.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "kv/range.hpp"
#include "kv/validate.hpp"

namespace kvstore::kv {
namespace {

// One change within the range, kept until it is known whether another of its revision follows.
struct Found {
  ChangePosition position;
  std::string key;
  bool had_before = false;
  bool has_after = false;
};

class ChangeWalk {
 public:
  ChangeWalk(View* view, const ChangeOptions& options, const ChangeSink& sink)
      : view_(*view), options_(options), interval_(options.range), sink_(sink), loader_(view) {}

  Result<ChangesResult> run(ChangePosition from, uint64_t revision) {
    ScanOptions scan;
    scan.space = kSpaceChanges;
    scan.lower = change_key(from);
    scan.upper = change_key({revision + 1, 0});
    auto opened = view_.cursor(scan);
    if (!opened) return opened.status();
    const std::unique_ptr<Cursor> cursor = std::move(*opened);
    for (uint64_t scanned = 1;; scanned++) {
      Result<bool> moved = cursor->next();
      if (!moved) return moved.status();
      if (!*moved) break;
      if (Status s = take(*cursor); !s) return s;
      if (result_.more) return result_;
      if (held_ || options_.scanned_max == 0 || scanned < options_.scanned_max) continue;
      result_.more = true;
      result_.next = {at_.revision, at_.number + 1};
      return result_;
    }
    if (held_) {
      if (Status s = deliver(false); !s) return s;
      if (result_.more) return result_;
    }
    result_.next = {revision + 1, 0};
    return result_;
  }

 private:
  // The pair at which the cursor stands: settles the change held before and holds this one.
  Status take(const Cursor& cursor) {
    auto position = parse_change_key(cursor.key());
    if (!position) return position.status();
    auto change = decode_change(cursor.value());
    if (!change) return change.status();
    at_ = *position;
    const bool wanted = interval_.contains(change->key);
    std::optional<Found> found;
    if (wanted) {
      found = Found{at_, std::string(change->key), change->had_before, change->has_after};
    }
    const bool same = held_ && held_->position.revision == at_.revision;
    if (held_ && (wanted || !same)) {
      if (Status s = deliver(wanted && same); !s) return s;
    }
    if (wanted) held_ = std::move(found);
    return Status();
  }

  // The change that is held; sets result_.more when it did not fit or the sink stops.
  Status deliver(bool more_of_revision) {
    const Found change = std::move(*held_);
    held_.reset();
    Change stored;
    stored.key = change.key;
    stored.had_before = change.had_before;
    stored.has_after = change.has_after;
    bool taken = true;
    Status s = loader_.load(change.position, stored, options_.with_prev, [&](ChangeView view) {
      view.more_of_revision = more_of_revision;
      taken = give(change.position, view);
    });
    if (!s || taken || result_.more) return s;
    result_.more = true;
    result_.next = {change.position.revision, change.position.number + 1};
    return Status();
  }

  bool give(ChangePosition position, const ChangeView& view) {
    uint64_t bytes = view.now.key.size() + view.now.value.size();
    if (view.prev != nullptr) bytes += view.prev->value.size();
    const bool full = options_.changes_max != 0 && result_.count == options_.changes_max;
    const bool heavy =
        result_.count != 0 && bytes > options_.bytes_max - std::min(bytes_, options_.bytes_max);
    if (full || heavy) {
      result_.more = true;
      result_.next = position;
      return false;
    }
    bytes_ += bytes;
    result_.count++;
    return sink_(view);
  }

  View& view_;
  const ChangeOptions& options_;
  const KeyInterval interval_;
  const ChangeSink& sink_;
  ChangeLoader loader_;
  std::optional<Found> held_;
  ChangePosition at_;  // of the pair looked at last
  ChangesResult result_;
  uint64_t bytes_ = 0;
};

}  // namespace

Status ChangeLoader::load(ChangePosition at, const Change& change, bool with_prev,
                          FunctionRef<void(const ChangeView&)> visit) {
  ChangeView out;
  out.kind = change.has_after ? ChangeView::Kind::kPut : ChangeView::Kind::kDelete;
  out.revision = at.revision;
  out.now.key = change.key;
  out.now.mod_revision = at.revision;
  std::string before;
  ItemView prev;
  if (with_prev && change.had_before) {
    if (Status s = read_before(change.key, at.revision, &before, &prev); !s) return s;
    out.prev = &prev;
  }
  if (!change.has_after) {
    visit(out);
    return Status();
  }
  bool right = true;
  Status s = visit_after(change.key, at.revision, [&](const Record& record) {
    right = record.mod_revision == at.revision;
    if (!right) return;
    out.now = to_item(change.key, record, false);
    visit(out);
  });
  if (s.code() == Code::kNotFound || !right)
    return Status(Code::kCorrupt,
                  fmt::format("the version that revision {} made is missing", at.revision));
  return s;
}

// The version in force at the revision, by the kept cursor.
Status ChangeLoader::visit_after(Bytes key, uint64_t at, FunctionRef<void(const Record&)> visit) {
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

Status ChangeLoader::read_before(Bytes key, uint64_t at, std::string* bytes, ItemView* item) {
  Status s =
      view_.get(kSpaceHistory, history_key(key, at), [&](Bytes stored) { bytes->assign(stored); });
  if (s.code() == Code::kNotFound)
    return Status(Code::kCorrupt,
                  fmt::format("the version that revision {} replaced is missing", at));
  if (!s) return s;
  auto record = decode_record_of(key, *bytes);
  if (!record) return record.status();
  *item = to_item(key, *record, false);
  return Status();
}

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
