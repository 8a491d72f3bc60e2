// The state machine's data model: items, transactions and their results, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/status.hpp"

namespace kvstore::kv {

// Numbers of the spaces that the stores keep apart.
inline constexpr uint32_t kSpaceUser = 0;    // key -> Record
inline constexpr uint32_t kSpaceSystem = 1;  // the machine's own data
inline constexpr uint32_t kSpaceParts =
    2;  // be64(upload id) + be32(part) -> bytes of a large value
inline constexpr uint32_t kSpaceHistory = 3;  // versions that are not the newest any more
inline constexpr uint32_t kSpaceChanges = 4;  // revision -> the keys it changed
inline constexpr uint32_t kSpaceCount = 5;

// The largest value stored in one piece and the size of a large value's parts (the last may be
// smaller).
inline constexpr uint64_t kPartBytes = 1 << 20;

// The longest key the state machine takes; the configured limit lies below it.
inline constexpr uint64_t kKeyBytesMax = 64 << 10;
// Uploads that may be open at a time; the first part of one more is answered with BUSY.
inline constexpr uint64_t kOpenUploadsMax = 4096;

// Keys that one transaction may change, and bytes of keys and values that its deletes of ranges may
// move into the history; a transaction above is INVALID.  Op::limit deletes a range piece by piece.
inline constexpr uint64_t kTxnChangesMax = 10'000;
inline constexpr uint64_t kTxnHistoryBytesMax = 64 << 20;
// Keys that the ranges of one transaction may look at, compares and counts included and however
// many of them are delivered; a transaction above is INVALID.  Larger ranges are for reads.
inline constexpr uint64_t kTxnVisitsMax = 100'000;
// Changes that one Compact may remove.
inline constexpr uint64_t kCompactChangesMax = 10'000;

// Leases and keys with a TTL of their own, together; one more is answered with BUSY.
inline constexpr uint64_t kLeasesMax = 250'000;
// Ids of leases are 1..kLeaseIdMax, numbers that every reader of JSON holds exactly.
inline constexpr uint64_t kLeaseIdMax = (uint64_t{1} << 53) - 1;
inline constexpr uint64_t kTtlMsMin = 100;
inline constexpr uint64_t kTtlMsMax = uint64_t{365} * 24 * 60 * 60 * 1000;
// One LeaseEnd: leases that it may name, and what it removes at most of their keys.
inline constexpr uint64_t kLeaseEndMax = 256;
inline constexpr uint64_t kLeaseEndKeysMax = 1'000;
inline constexpr uint64_t kLeaseEndBytesMax = 8 << 20;

struct Range {
  enum class Kind : uint8_t { kKey = 0, kUntil = 1, kPrefix = 2, kFrom = 3, kAll = 4 };
  Kind kind = Kind::kKey;
  std::string key;
  std::string end;  // exclusive, for kUntil
  bool operator==(const Range&) const = default;
};

struct Item {
  std::string key;
  std::string value;  // empty for keys-only and for values stored in parts
  uint64_t create_revision = 0;
  uint64_t mod_revision = 0;
  uint64_t version = 0;
  uint64_t lease = 0;        // 0: none
  uint64_t value_bytes = 0;  // full size
  uint64_t ttl_ms = 0;       // of its own, without a lease; 0: none
  bool operator==(const Item&) const = default;
};

struct Compare {
  enum class Target : uint8_t {
    kValue = 1,
    kModRevision = 2,
    kCreateRevision = 3,
    kVersion = 4,
    kLease = 5
  };
  enum class Op : uint8_t { kEq = 1, kNe = 2, kLt = 3, kGt = 4 };
  Target target = Target::kVersion;
  Op op = Op::kEq;
  // Every key of the range must satisfy the compare; an absent single key counts as version 0,
  // revision 0 and, for kValue, as unequal to and neither less nor greater than any value.
  Range range;
  std::string value;
  uint64_t number = 0;
  bool operator==(const Compare&) const = default;
};

inline constexpr uint32_t kOpPrev = 1u << 0;       // deliver the previous items
inline constexpr uint32_t kOpKeysOnly = 1u << 1;   // items without values
inline constexpr uint32_t kOpCountOnly = 1u << 2;  // the count alone
inline constexpr uint32_t kOpReverse = 1u << 3;

struct Op {
  enum class Kind : uint8_t { kPut = 1, kDelete = 2, kGet = 3 };
  Kind kind = Kind::kPut;
  uint32_t flags = 0;
  Range range;  // kPut: a single key
  std::string value;
  uint64_t upload_id = 0;  // not 0: the value is this complete upload of upload_bytes bytes
  uint64_t upload_bytes = 0;
  // kGet: items at most; 0: no limit but kResultBytesMax and kTxnVisitsMax.  kDelete of a range:
  // keys at most, from its start; 0: no limit but kTxnChangesMax.
  uint64_t limit = 0;
  // kPut, at most one of them: the key goes with this lease, or after this time.  A put without
  // them takes the key from its lease and ends its TTL.
  uint64_t lease = 0;
  uint64_t ttl_ms = 0;  // kTtlMsMin..kTtlMsMax
  bool operator==(const Op&) const = default;
};

// Items that one transaction may deliver, in bytes; a transaction that would deliver more fails
// without effect.
inline constexpr uint64_t kResultBytesMax = 4 << 20;

// 128 bits of XXH3 (fingerprint.hpp).
struct Fingerprint {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const Fingerprint&) const = default;
};

inline constexpr uint64_t kRequestIdBytesMax = 128;
inline constexpr uint64_t kPrincipalBytesMax = 256;
// What is kept of a result for repetitions of its request, encoded; see requests.hpp.
inline constexpr uint64_t kRequestResultBytesMax = 4 << 10;

// How a repetition of a transaction is recognised: the same id of the same principal takes effect
// once.
struct RequestId {
  std::string principal;    // at most kPrincipalBytesMax; empty: anonymous
  std::string id;           // 1..kRequestIdBytesMax
  Fingerprint fingerprint;  // of what is asked, so that another request under the id is noticed
  bool operator==(const RequestId&) const = default;
};

// Which answers to earlier requests are kept.  Part of what the state machine does: all nodes must
// have the same, so only tests use others.
struct RequestLimits {
  uint64_t records_max = 100'000;               // 2 or more; beyond it the oldest goes
  uint64_t keep_ms = uint64_t{24} * 3'600'000;  // by the time of the log's entries
};

// Atomic: when every compare holds then_ops, otherwise else_ops; one revision for all changes.
struct Txn {
  std::vector<Compare> compares;
  std::vector<Op> then_ops;
  std::vector<Op> else_ops;
  std::optional<RequestId> request = std::nullopt;
  bool operator==(const Txn&) const = default;
};

// One part of a large value, numbered from 0, each kPartBytes long but the last.  Repeating a part
// that is already there is harmless; a gap is refused.
struct UploadPart {
  uint64_t upload_id = 0;
  uint32_t part = 0;
  std::string bytes;
  bool operator==(const UploadPart&) const = default;
};

// Removes an upload that no transaction will use.
struct UploadAbort {
  uint64_t upload_id = 0;
  bool operator==(const UploadAbort&) const = default;
};

// Removes every unused upload whose last part is older than this, by the time of the log's entries.
struct SweepUploads {
  uint64_t idle_before_ms = 0;
  bool operator==(const SweepUploads&) const = default;
};

// Changes nothing: a place in the log at which every node hashes its state (state_hash.hpp).
struct Checkpoint {
  bool operator==(const Checkpoint&) const = default;
};

// Gives up the history below `revision`: what was superseded or changed up to it.  Removes at most
// changes_max changes (1..kCompactChangesMax), so that one entry takes a bounded time; the result's
// only operation has kind kDelete, the number removed, and in `more` whether some are left: then it
// has to be repeated.  INVALID above the store's revision; an older revision than before only
// removes what is left.
struct Compact {
  uint64_t revision = 0;
  uint64_t changes_max = 0;
  bool operator==(const Compact&) const = default;
};

// Makes a lease that keys can be attached to.  CONFLICT when the id is taken, BUSY beyond
// kLeasesMax, INVALID for an id or ttl out of range.
struct LeaseGrant {
  uint64_t id = 0;
  uint64_t ttl_ms = 0;
  bool operator==(const LeaseGrant&) const = default;
};

// A lease as it stands in a LeaseEnd.  Its generation tells it from a later lease of the same id; 0
// means whichever has the id now.
struct LeaseRef {
  uint64_t id = 0;
  uint64_t generation = 0;
  bool operator==(const LeaseRef&) const = default;
};

// Ends 1..kLeaseEndMax leases, by revocation or because their time is over, and deletes their keys,
// all in one revision.  At most kLeaseEndKeysMax keys with about kLeaseEndBytesMax go at once: then
// `more` of the only operation's result says that the command has to be repeated; a lease that has
// keys left takes no new ones.  Leases that do not exist are passed over; NOT_FOUND when none does.
struct LeaseEnd {
  std::vector<LeaseRef> leases;
  bool operator==(const LeaseEnd&) const = default;
};

// A lease, or a key's own TTL, that came, changed or went.
struct LeaseChange {
  uint64_t id = 0;
  uint64_t generation = 0;
  uint64_t ttl_ms = 0;  // 0: it is gone
  bool ending = false;  // a LeaseEnd left keys: it has to be repeated
  bool operator==(const LeaseChange&) const = default;
};

using Command = std::variant<Txn, UploadPart, UploadAbort, SweepUploads, Checkpoint, Compact,
                             LeaseGrant, LeaseEnd>;

struct OpResult {
  Op::Kind kind = Op::Kind::kPut;
  uint32_t flags = 0;       // the op's
  std::vector<Item> items;  // read, or previous with kOpPrev
  uint64_t count = 0;       // keys matched, deleted or put
  bool more = false;        // limit cut the items
  bool operator==(const OpResult&) const = default;
};

// Outcome of one command at its place in the log.  A code other than kOk means: no effect.
struct CommandResult {
  Code code = Code::kOk;
  std::string message;
  uint64_t revision = 0;   // the store's after this command
  bool succeeded = false;  // txn: the then-branch ran
  bool replayed = false;   // the result, also its revision, is that of an earlier execution
  bool shortened = false;  // replayed, without values or items, which were too large to be kept
  std::vector<OpResult> ops;
  bool operator==(const CommandResult&) const = default;
};

}  // namespace kvstore::kv
