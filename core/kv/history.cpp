#include "kv/history.hpp"

#include <algorithm>

#include "base/codec.hpp"

namespace kvstore::kv {
namespace {

// In a history key a 0x00 of the user's key is followed by 0xff, and its end is 0x00 0x00: so a key
// sorts before those that it begins, and no key's entry begins another key's.
constexpr char kZero = '\0';
constexpr char kZeroInside = '\xff';
constexpr size_t kEndBytes = 2;
constexpr size_t kRevisionBytes = sizeof(uint64_t);

constexpr uint8_t kFormat = 1;
constexpr uint8_t kHadBefore = 1;
constexpr uint8_t kHasAfter = 2;
constexpr uint8_t kBeforeInParts = 4;
constexpr uint64_t kCostOfPairs = 64;

Status corrupt(const char* what) {
  return Status(Code::kCorrupt, what);
}

}  // namespace

std::string history_begin(Bytes key) {
  std::string out;
  out.reserve(key.size() + kEndBytes + kRevisionBytes +
              static_cast<size_t>(std::count(key.begin(), key.end(), kZero)));
  for (char c : key) {
    out.push_back(c);
    if (c == kZero) out.push_back(kZeroInside);
  }
  out.append(kEndBytes, kZero);
  return out;
}

std::string history_end(Bytes key) {
  std::string out = history_begin(key);
  out.back() = '\1';
  return out;
}

std::string history_key(Bytes key, uint64_t superseded) {
  std::string out = history_begin(key);
  append_be64(&out, superseded);
  return out;
}

Bytes history_prefix(Bytes history_key) {
  return history_key.substr(0, history_key.size() - std::min(history_key.size(), kRevisionBytes));
}

Result<HistoryKey> parse_history_key(Bytes bytes) {
  HistoryKey out;
  out.key.reserve(bytes.size());
  size_t i = 0;
  for (; i < bytes.size(); i++) {
    out.key.push_back(bytes[i]);
    if (bytes[i] != kZero) continue;
    if (++i < bytes.size() && bytes[i] == kZeroInside) continue;
    out.key.pop_back();
    break;
  }
  const bool ended = i < bytes.size() && bytes[i] == kZero;
  if (!ended || out.key.empty() || bytes.size() - i - 1 != kRevisionBytes)
    return corrupt("key of an old version: malformed");
  out.superseded = read_be64(bytes.data() + i + 1);
  if (out.superseded == 0) return corrupt("key of an old version: revision 0");
  return out;
}

std::string change_key(ChangePosition position) {
  std::string key;
  append_be64(&key, position.revision);
  append_be32(&key, position.number);
  return key;
}

Result<ChangePosition> parse_change_key(Bytes bytes) {
  if (bytes.size() != sizeof(uint64_t) + sizeof(uint32_t))
    return corrupt("key of a change: wrong size");
  ChangePosition position{read_be64(bytes.data()), read_be32(bytes.data() + sizeof(uint64_t))};
  if (position.revision == 0) return corrupt("key of a change: revision 0");
  return position;
}

std::string encode_change(const Change& change) {
  std::string out;
  Encoder e(&out);
  e.u8(kFormat);
  e.u8(static_cast<uint8_t>((change.had_before ? kHadBefore : 0) |
                            (change.has_after ? kHasAfter : 0) |
                            (change.before_upload != 0 ? kBeforeInParts : 0)));
  if (change.had_before) e.varint(change.before_bytes);
  if (change.before_upload != 0) e.u64(change.before_upload);
  e.raw(change.key);
  return out;
}

Result<Change> decode_change(Bytes bytes) {
  Decoder d(bytes);
  if (d.u8() != kFormat) return corrupt("change: unknown format");
  const uint8_t flags = d.u8();
  Change change;
  change.had_before = (flags & kHadBefore) != 0;
  change.has_after = (flags & kHasAfter) != 0;
  const bool in_parts = (flags & kBeforeInParts) != 0;
  if (change.had_before) change.before_bytes = d.varint();
  if (in_parts) change.before_upload = d.u64();
  change.key = d.raw(d.remaining());
  const bool known = (flags & ~(kHadBefore | kHasAfter | kBeforeInParts)) == 0;
  const bool changes = change.had_before || change.has_after;
  const bool parts_fit = !in_parts || (change.had_before && change.before_upload != 0);
  if (!d.ok() || !known || !changes || !parts_fit || change.key.empty())
    return corrupt("change: malformed");
  return change;
}

uint64_t change_cost(const Change& change) {
  return kCostOfPairs + change.key.size() * (change.had_before ? 2 : 1) + change.before_bytes;
}

}  // namespace kvstore::kv
