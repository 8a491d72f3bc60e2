#include "kv/versions.hpp"

#include "kv/history.hpp"

namespace kvstore::kv {
namespace {

// Steps over the versions of one key before a walk jumps to the next key.
constexpr int kStepsBeforeJump = 4;

// The keys that have old versions, each once.
class KeysWithHistory {
 public:
  Status open(View& view, const KeyInterval& interval, bool reverse) {
    ScanOptions options;
    options.space = kSpaceHistory;
    if (!interval.lower.empty()) options.lower = history_begin(interval.lower);
    if (!interval.upper.empty()) options.upper = history_begin(interval.upper);
    options.reverse = reverse_ = reverse;
    options.keys_only = true;
    auto cursor = view.cursor(options);
    if (!cursor) return cursor.status();
    cursor_ = std::move(*cursor);
    return next();
  }

  bool at_end() const { return end_; }
  Bytes key() const { return key_; }

  Status next() {
    for (int steps = 0;; steps++) {
      if (steps == kStepsBeforeJump && !key_.empty()) {
        Status s = cursor_->seek(reverse_ ? history_begin(key_) : history_end(key_));
        if (!s) return s;
      }
      Result<bool> moved = cursor_->next();
      if (!moved) return moved.status();
      end_ = !*moved;
      if (end_) return Status();
      if (!prefix_.empty() && history_prefix(cursor_->key()) == prefix_) continue;
      prefix_.assign(history_prefix(cursor_->key()));
      auto parsed = parse_history_key(cursor_->key());
      if (!parsed) return parsed.status();
      key_ = std::move(parsed->key);
      return Status();
    }
  }

 private:
  std::unique_ptr<Cursor> cursor_;
  std::string prefix_;
  std::string key_;
  bool reverse_ = false;
  bool end_ = false;
};

}  // namespace

Result<bool> OldVersions::find(Bytes key, uint64_t at, Record* record) {
  if (cursor_ == nullptr) {
    ScanOptions options;
    options.space = kSpaceHistory;
    auto cursor = view_->cursor(options);
    if (!cursor) return cursor.status();
    cursor_ = std::move(*cursor);
  }
  const std::string from = history_key(key, at + 1);
  if (Status s = cursor_->seek(from); !s) return s;
  Result<bool> moved = cursor_->next();
  if (!moved || !*moved) return moved;
  if (history_prefix(cursor_->key()) != history_prefix(from)) return false;
  auto decoded = decode_record_of(key, cursor_->value());
  if (!decoded) return decoded.status();
  *record = *decoded;
  return true;
}

Status visit_version(View& view, Bytes key, uint64_t at, FunctionRef<void(const Record&)> visit) {
  bool settled = false;
  Status bad;
  Status current = view.get(kSpaceUser, key, [&](Bytes bytes) {
    auto record = decode_record_of(key, bytes);
    if (!record) {
      bad = record.status();
    } else if (record->mod_revision <= at) {
      settled = true;
      visit(*record);
    }
  });
  if (!current && current.code() != Code::kNotFound) return current;
  if (settled || !bad.is_ok()) return bad;
  OldVersions old(&view);
  Record record;
  Result<bool> found = old.find(key, at, &record);
  if (!found) return found.status();
  if (!*found || record.mod_revision > at) return Status(Code::kNotFound);
  visit(record);
  return Status();
}

Status walk_versions(View& view, const KeyInterval& interval, uint64_t at, bool reverse,
                     FunctionRef<bool(Bytes key, const Record&)> visit) {
  if (interval.empty()) return Status();
  KeysWithHistory history;
  if (Status s = history.open(view, interval, reverse); !s) return s;
  OldVersions old(&view);
  bool wanted = true;
  Record record;
  // The key at which `history` stands; `current`, when the key still exists, is its newest version.
  auto take_history = [&](const Record* current) {
    Result<bool> found = old.find(history.key(), at, &record);
    if (!found) return found.status();
    const Record* version = *found ? &record : current;
    if (version != nullptr && version->mod_revision <= at) wanted = visit(history.key(), *version);
    return wanted ? history.next() : Status();
  };
  auto comes_first = [&](Bytes key) {
    return !history.at_end() && (reverse ? history.key() > key : history.key() < key);
  };
  Status bad;
  ScanOptions options{kSpaceUser, interval.lower, interval.upper, reverse, false};
  Status scanned = view.scan(options, [&](Bytes key, Bytes value) {
    while (wanted && bad.is_ok() && comes_first(key)) bad = take_history(nullptr);
    if (!wanted || !bad.is_ok()) return false;
    auto current = decode_record_of(key, value);
    if (!current) {
      bad = current.status();
      return false;
    }
    if (!history.at_end() && history.key() == key)
      bad = take_history(&*current);
    else if (current->mod_revision <= at)
      wanted = visit(key, *current);
    return wanted && bad.is_ok();
  });
  if (!scanned) return scanned;
  while (wanted && bad.is_ok() && !history.at_end()) bad = take_history(nullptr);
  return bad;
}

}  // namespace kvstore::kv
