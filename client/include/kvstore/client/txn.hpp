// Transactions, batches and ranges of keys: what goes into and comes out of the calls.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kvstore/client/result.hpp>
#include <kvstore/client/types.hpp>

namespace kvstore::client {

// One key, or all keys of a part of the order of bytes.
struct KeyRange {
  enum class Kind { kKey, kPrefix, kBetween, kAll };
  Kind kind = Kind::kKey;
  std::string key;  // the key, the prefix, or the first key
  std::string end;  // kBetween: the first key behind it; empty: there is none

  static KeyRange of_key(std::string key) { return {Kind::kKey, std::move(key), {}}; }
  // Not empty.
  static KeyRange of_prefix(std::string prefix) { return {Kind::kPrefix, std::move(prefix), {}}; }
  // Not both empty.
  static KeyRange between(std::string start, std::string end) {
    return {Kind::kBetween, std::move(start), std::move(end)};
  }
  static KeyRange all() { return {Kind::kAll, {}, {}}; }
};

// Holds when it holds for every key of the range.  An absent key has the numbers 0, and a value
// that is unequal to any.
struct Compare {
  enum class Target { kValue, kModRevision, kCreateRevision, kVersion, kLease, kExists };
  enum class Op { kEqual, kNotEqual, kLess, kGreater };
  KeyRange range;
  Target target = Target::kModRevision;
  Op op = Op::kEqual;
  std::string value;    // kValue
  uint64_t number = 0;  // the other targets
  bool exists = true;   // kExists, with op kEqual; of a range only false: it has no keys

  static Compare mod_revision(std::string key, uint64_t number, Op op = Op::kEqual) {
    Compare out;
    out.range = KeyRange::of_key(std::move(key));
    out.op = op;
    out.number = number;
    return out;
  }
  static Compare value_of(std::string key, std::string value, Op op = Op::kEqual) {
    Compare out;
    out.range = KeyRange::of_key(std::move(key));
    out.target = Target::kValue;
    out.op = op;
    out.value = std::move(value);
    return out;
  }
  static Compare existence(KeyRange range, bool exists) {
    Compare out;
    out.range = std::move(range);
    out.target = Target::kExists;
    out.exists = exists;
    return out;
  }
};

// One operation of a transaction or of a batch.  Values have at most 1 MiB here.
struct Operation {
  enum class Kind { kPut, kDelete, kGet, kRange };
  Kind kind = Kind::kGet;
  KeyRange range;           // kPut, kGet, and all of a batch: one key
  std::string value;        // kPut
  bool prev = false;        // kPut, kDelete: return what was replaced or deleted
  bool keys_only = false;   // items without values
  bool count_only = false;  // kRange: the count alone
  bool reverse = false;     // kRange: from the end
  uint64_t limit = 0;       // kRange and kDelete of a range: at most so many keys; 0: all
  Lifetime lifetime;        // kPut
  Condition condition;      // of a batch alone: on the key of a put or delete

  static Operation put(std::string key, std::string value) {
    Operation out;
    out.kind = Kind::kPut;
    out.range = KeyRange::of_key(std::move(key));
    out.value = std::move(value);
    return out;
  }
  static Operation del(KeyRange range) {
    Operation out;
    out.kind = Kind::kDelete;
    out.range = std::move(range);
    return out;
  }
  static Operation del(std::string key) { return del(KeyRange::of_key(std::move(key))); }
  static Operation get(std::string key) {
    Operation out;
    out.range = KeyRange::of_key(std::move(key));
    return out;
  }
  static Operation get_range(KeyRange range) {
    Operation out;
    out.kind = Kind::kRange;
    out.range = std::move(range);
    return out;
  }
};

// When every compare holds then_ops, otherwise else_ops; atomic, at one revision.  At most 128
// compares and 128 operations in each branch, 1 MiB together, with the servers' default limits.
struct Txn {
  std::vector<Compare> compares;
  std::vector<Operation> then_ops, else_ops;
};

struct OperationResult {
  std::vector<Item> items;     // read, or with `prev` the ones replaced or deleted
  uint64_t count = 0;          // keys read or deleted
  bool more = false;           // kRange: the limit left keys out
  uint64_t mod_revision = 0;   // kPut: the key's
  std::optional<Error> error;  // of a batch: this operation was not done, or kUnknownOutcome
};

struct TxnResult {
  bool succeeded = false;  // every compare held
  uint64_t revision = 0;
  std::vector<OperationResult> results;  // one per operation of the branch that ran
  std::string json;                      // the whole answer
  AnswerInfo info;
};

struct BatchResult {
  std::vector<OperationResult> results;  // one per operation, in their order
  uint64_t failed = 0;                   // of these: with an error
  uint64_t revision = 0;
  std::string json;
  AnswerInfo info;
};

struct DeleteRangeOptions {
  // Told after each piece how many keys are gone so far; false ends it with kCancelled.
  std::function<bool(uint64_t deleted)> on_progress;
};

struct DeleteRangeResult {
  uint64_t deleted = 0;
  AnswerInfo info;
};

struct CompactResult {
  uint64_t compacted_revision = 0;  // the oldest that can still be read
  std::string json;
  AnswerInfo info;
};

}  // namespace kvstore::client
