#include "log_model.hpp"

#include <algorithm>

namespace kvstore::conformance {
namespace {

std::string text(const kvs_log_id& id) {
  return "(term " + std::to_string(id.term) + ", index " + std::to_string(id.index) + ")";
}

}  // namespace

size_t LogModel::part_count(const LogStep& step) {
  return (step.hard.has_value() ? 1 : 0) + (step.truncate_from.has_value() ? 1 : 0) +
         step.entries.size();
}

void LogModel::apply_parts(const LogStep& step, size_t parts) {
  if (step.hard.has_value() && parts > 0) {
    hard = *step.hard;
    --parts;
  }
  if (step.truncate_from.has_value() && parts > 0) {
    while (last().index >= *step.truncate_from) entries.pop_back();
    --parts;
  }
  for (size_t i = 0; i < std::min(parts, step.entries.size()); ++i) {
    entries.push_back(step.entries[i]);
  }
}

void LogModel::apply(const LogStep& step) {
  if (step.kind == LogStep::kWrite) {
    apply_parts(step, part_count(step));
  } else if (step.kind == LogStep::kReset) {
    entries.clear();
    base = step.id;
  } else if (step.id.index > base.index) {
    while (!entries.empty() && entries.front().id.index <= step.id.index) entries.pop_front();
    base = step.id;
  }
}

std::string difference(const LogModel& expected, const LogModel& found, uint64_t oldest_base) {
  const kvs_hard_state& a = expected.hard;
  const kvs_hard_state& b = found.hard;
  if (a.term != b.term || a.voted_for != b.voted_for || a.commit != b.commit) {
    return "hard state: expected term " + std::to_string(a.term) + ", found " +
           std::to_string(b.term);
  }
  if (!(expected.last() == found.last())) {
    return "last: expected " + text(expected.last()) + ", found " + text(found.last());
  }
  if (found.base.index > expected.base.index || found.base.index < oldest_base) {
    return "base: expected " + text(expected.base) + ", found " + text(found.base);
  }
  if (found.base.index == expected.base.index && !(found.base == expected.base)) {
    return "base: expected " + text(expected.base) + ", found " + text(found.base);
  }
  for (const Entry& e : expected.entries) {
    const Entry& f = found.entries.at(e.id.index - found.base.index - 1);
    if (!(e == f)) return "entry " + std::to_string(e.id.index) + " has another content";
  }
  return {};
}

Entry make_entry(uint64_t term, uint64_t index, size_t bytes, uint64_t salt) {
  Entry e;
  e.id = {term, index};
  e.kind = static_cast<uint32_t>(1 + (index + salt) % 7);
  e.crc32c = static_cast<uint32_t>(index * 2654435761u ^ term ^ salt);
  e.data.resize(bytes);
  uint64_t x = index * 0x9E3779B97F4A7C15u + term * 31 + salt;
  for (char& c : e.data) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    c = static_cast<char>(x >> 56);
  }
  return e;
}

}  // namespace kvstore::conformance
