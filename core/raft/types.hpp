// The vocabulary of the Raft paper as cheap strong types.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include "base/bytes.hpp"

namespace kvstore::raft {

struct Term {
  uint64_t value = 0;
  auto operator<=>(const Term&) const = default;
};

struct Index {
  uint64_t value = 0;
  auto operator<=>(const Index&) const = default;
};

inline Term operator+(Term t, uint64_t n) {
  return {t.value + n};
}
inline Index operator+(Index i, uint64_t n) {
  return {i.value + n};
}
inline Index operator-(Index i, uint64_t n) {
  return {i.value - n};
}
inline uint64_t operator-(Index a, Index b) {
  return a.value - b.value;
}

// A random 63-bit number made with a node's data directory; 0 is never a node.
struct NodeId {
  uint64_t value = 0;
  auto operator<=>(const NodeId&) const = default;
  explicit operator bool() const { return value != 0; }
};
inline constexpr NodeId kNoNode{};

// Identifies an entry: two logs that agree on (term, index) agree on everything before (Log
// Matching).
struct LogId {
  Term term;
  Index index;
  auto operator<=>(const LogId&) const =
      default;  // lexicographic: "at least as up-to-date", §5.4.1
};

// What must survive a restart besides the log (Figure 2, persistent state).  `commit` is a hint.
struct HardState {
  Term term;
  NodeId voted_for;
  Index commit;
  bool operator==(const HardState&) const = default;
};

enum class EntryKind : uint32_t {
  kNoop = 0,           // first of a term (§8)
  kCommand = 1,        // opaque bytes for the state machine
  kConfiguration = 2,  // an encoded Configuration
};

struct Entry {
  LogId id;
  EntryKind kind = EntryKind::kNoop;
  uint32_t crc = 0;  // over (term, index, kind, data); see entry_crc
  SharedBytes data;
};

// CRC-32C over term, index, kind and data; checked when an entry is read back and when it is
// received.
uint32_t entry_crc(const LogId& id, EntryKind kind, Bytes data);
inline bool entry_intact(const Entry& e) {
  return entry_crc(e.id, e.kind, e.data.view()) == e.crc;
}

// Memory an entry is counted with by every bound in bytes.
inline size_t entry_bytes(const Entry& e) {
  return e.data.size() + 64;
}

}  // namespace kvstore::raft

template <>
struct std::hash<kvstore::raft::NodeId> {
  size_t operator()(const kvstore::raft::NodeId& id) const noexcept {
    return std::hash<uint64_t>()(id.value);
  }
};
