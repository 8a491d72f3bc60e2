#include "kv/reader.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "kv/range.hpp"
#include "kv/record.hpp"
#include "kv/system_records.hpp"
#include "kv/validate.hpp"
#include "kv/versions.hpp"

namespace kvstore::kv {
namespace {

Result<uint64_t> count_items(View& view, const ScanOptions& options) {
  uint64_t count = 0;
  Status s = view.scan(options, [&count](Bytes, Bytes) {
    count++;
    return true;
  });
  if (!s) return s;
  return count;
}

// Decides for each pair of a scan whether it still belongs to the page.
class Page {
 public:
  Page(uint32_t flags, uint64_t limit, uint64_t bytes_max, const ItemSink& sink)
      : keys_only_((flags & kOpKeysOnly) != 0),
        reverse_((flags & kOpReverse) != 0),
        limit_(limit),
        bytes_max_(bytes_max),
        sink_(sink) {}

  // False ends the scan.
  bool take(Bytes key, Bytes value) {
    auto record = decode_record_of(key, value);
    if (record) return take(key, *record);
    bad_ = record.status();
    return false;
  }
  bool take(Bytes key, const Record& record) {
    ItemView item = to_item(key, record, keys_only_);
    uint64_t item_bytes = item.key.size() + item.value.size();
    bool full = limit_ != 0 && result_.count == limit_;
    bool heavy = result_.count != 0 && item_bytes > bytes_max_ - std::min(bytes_, bytes_max_);
    if (full || heavy) return end(reverse_ ? last_key_ : std::string(key));
    bytes_ += item_bytes;
    result_.count++;
    if (reverse_) last_key_.assign(key);
    if (sink_(item)) return true;
    return end(reverse_ ? last_key_ : std::string(key) + '\0');
  }

  const Status& bad() const { return bad_; }
  ScanResult& result() { return result_; }

 private:
  bool end(std::string cursor) {
    result_.more = true;
    result_.cursor = std::move(cursor);
    return false;
  }

  const bool keys_only_;
  const bool reverse_;
  const uint64_t limit_;
  const uint64_t bytes_max_;
  const ItemSink& sink_;
  ScanResult result_;
  uint64_t bytes_ = 0;
  std::string last_key_;
  Status bad_;
};

Result<ScanResult> scan_past(View& view, uint64_t at, const KeyInterval& interval, uint32_t flags,
                             uint64_t limit, uint64_t bytes_max, const ItemSink& sink) {
  const bool reverse = (flags & kOpReverse) != 0;
  if ((flags & kOpCountOnly) != 0) {
    ScanResult result;
    Status s = walk_versions(view, interval, at, reverse, [&](Bytes, const Record&) {
      result.count++;
      return true;
    });
    if (!s) return s;
    return result;
  }
  Page page(flags, limit, bytes_max, sink);
  Status s = walk_versions(view, interval, at, reverse, [&page](Bytes key, const Record& record) {
    return page.take(key, record);
  });
  if (!s) return s;
  return std::move(page.result());
}

// Delivers the wanted bytes of a value in parts.
Status read_parts(View& view, const Record& record, uint64_t offset, uint64_t end,
                  const GetSink& sink) {
  while (offset < end) {
    uint64_t part = offset / kPartBytes;
    uint64_t part_begin = part * kPartBytes;
    uint64_t size = part_size(record.value_bytes, part);
    bool whole = true;
    auto deliver = [&](Bytes bytes) {
      whole = bytes.size() == size;
      if (whole) sink(bytes.substr(offset - part_begin, end - offset));
    };
    Status s =
        view.get(kSpaceParts, part_key(record.upload_id, static_cast<uint32_t>(part)), deliver);
    if (s.code() == Code::kNotFound || !whole)
      return Status(Code::kCorrupt, fmt::format("part {} of upload {:016x} is missing or cut", part,
                                                record.upload_id));
    if (!s) return s;
    offset = part_begin + size;
  }
  return Status();
}

}  // namespace

ItemView to_item(Bytes key, const Record& record, bool keys_only) {
  return {key,
          keys_only ? Bytes() : record.value,
          record.create_revision,
          record.mod_revision,
          record.version,
          record.granted_lease(),
          record.value_bytes,
          record.in_parts(),
          record.ttl_ms};
}

Result<uint64_t> read_revision(View& view) {
  Result<Revisions> revisions = read_revisions(view);
  if (!revisions) return revisions.status();
  return revisions->current;
}

Result<Revisions> read_revisions(View& view) {
  Result<MachineRecord> record = MachineRecord();
  Status s =
      view.get(kSpaceSystem, kMachineKey, [&](Bytes bytes) { record = decode_machine(bytes); });
  if (!s && s.code() != Code::kNotFound) return s;
  if (!record) return record.status();
  return Revisions{record->revision, record->compacted_revision};
}

Result<uint64_t> resolve_revision(const Revisions& revisions, uint64_t revision) {
  if (revision > revisions.current)
    return Status(Code::kInvalid, fmt::format("revision {} does not exist yet: the newest is {}",
                                              revision, revisions.current));
  if (revision == 0 || revision == revisions.current) return uint64_t{0};
  if (revision < revisions.compacted)
    return Status(Code::kCompacted, fmt::format("revision {} is compacted: the oldest is {}",
                                                revision, revisions.compacted));
  return revision;
}

Status read_item(View& view, uint64_t at, Bytes key, const ItemSink& sink) {
  if (at != 0)
    return visit_version(view, key, at,
                         [&](const Record& record) { sink(to_item(key, record, false)); });
  Status bad;
  Status s = view.get(kSpaceUser, key, [&](Bytes bytes) {
    auto record = decode_record_of(key, bytes);
    if (record)
      sink(to_item(key, *record, false));
    else
      bad = record.status();
  });
  return s.is_ok() ? bad : s;
}

Result<ScanResult> scan_items(View& view, uint64_t at, const Range& range, uint32_t flags,
                              uint64_t limit, uint64_t bytes_max, const ItemSink& sink) {
  if (Status s = validate_range(range); !s) return s;
  KeyInterval interval(range);
  if (interval.empty()) return ScanResult();
  if (at != 0) return scan_past(view, at, interval, flags, limit, bytes_max, sink);
  ScanOptions options;
  options.space = kSpaceUser;
  options.lower = std::move(interval.lower);
  options.upper = std::move(interval.upper);
  options.reverse = (flags & kOpReverse) != 0;
  if ((flags & kOpCountOnly) != 0) {
    options.keys_only = true;
    auto count = count_items(view, options);
    if (!count) return count.status();
    ScanResult result;
    result.count = *count;
    return result;
  }
  Page page(flags, limit, bytes_max, sink);
  Status s = view.scan(options, [&page](Bytes key, Bytes value) { return page.take(key, value); });
  if (!s) return s;
  if (!page.bad().is_ok()) return page.bad();
  return std::move(page.result());
}

Status read_value(View& view, uint64_t at, Bytes key, uint64_t offset, uint64_t bytes,
                  const GetSink& sink) {
  Status bad;
  Record parts;
  uint64_t end = 0;
  auto take = [&](const Record& record) {
    if (offset >= record.value_bytes || bytes == 0) return;
    end = offset + std::min(bytes, record.value_bytes - offset);
    if (record.in_parts())
      parts = record;
    else
      sink(record.value.substr(offset, end - offset));
  };
  Status s =
      at != 0 ? visit_version(view, key, at, take) : view.get(kSpaceUser, key, [&](Bytes stored) {
        auto record = decode_record_of(key, stored);
        if (record)
          take(*record);
        else
          bad = record.status();
      });
  if (!s) return s;
  if (!bad.is_ok()) return bad;
  return parts.in_parts() ? read_parts(view, parts, offset, end, sink) : Status();
}

void range_bounds(const Range& range, std::string* lower, std::string* upper) {
  KeyInterval interval(range);
  *lower = std::move(interval.lower);
  *upper = std::move(interval.upper);
}

Range continue_range(const Range& range, Bytes cursor, bool reverse) {
  KeyInterval rest(range);
  if (reverse) {
    if (rest.upper.empty() || cursor < rest.upper) rest.upper = cursor;
  } else if (cursor > rest.lower) {
    rest.lower = cursor;
  }
  Range out;
  out.key = std::move(rest.lower);
  out.end = std::move(rest.upper);
  out.kind = out.end.empty() ? Range::Kind::kFrom : Range::Kind::kUntil;
  return out;
}

}  // namespace kvstore::kv
