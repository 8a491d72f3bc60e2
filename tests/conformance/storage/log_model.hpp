// What a log must look like: the reference that plugins are compared with.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <kvstore/abi/log.h>

namespace kvstore::conformance {

inline bool operator==(const kvs_log_id& a, const kvs_log_id& b) {
  return a.term == b.term && a.index == b.index;
}

struct Entry {
  kvs_log_id id{};
  uint32_t kind = 0;
  uint32_t crc32c = 0;
  std::string data;
  friend bool operator==(const Entry& a, const Entry& b) {
    return a.id == b.id && a.kind == b.kind && a.crc32c == b.crc32c && a.data == b.data;
  }
};

// One step of the log's writer.
struct LogStep {
  enum Kind { kWrite, kCompact, kReset } kind = kWrite;
  bool sync = false;
  std::optional<kvs_hard_state> hard;
  std::optional<uint64_t> truncate_from;
  std::vector<Entry> entries;
  kvs_log_id id{};  // of compact and reset

  bool durable_on_return() const { return kind == kReset || (kind == kWrite && sync); }
};

struct LogModel {
  kvs_hard_state hard{};
  kvs_log_id base{};
  std::deque<Entry> entries;

  kvs_log_id last() const { return entries.empty() ? base : entries.back().id; }
  uint64_t term(uint64_t index) const {
    return index == base.index ? base.term : entries.at(index - base.index - 1).id.term;
  }
  void apply(const LogStep& step);
  // Applies the first `parts` of a write's parts: hard state, truncation, each entry.
  void apply_parts(const LogStep& step, size_t parts);
  static size_t part_count(const LogStep& step);
};

// Where `found`, read back after a crash, differs from what is allowed, or empty.  An older base is
// allowed (a compaction may be lost), down to `oldest_base`.
std::string difference(const LogModel& expected, const LogModel& found, uint64_t oldest_base);

// Entries with content derived from their position.
Entry make_entry(uint64_t term, uint64_t index, size_t bytes, uint64_t salt = 0);

}  // namespace kvstore::conformance
