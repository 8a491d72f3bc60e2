// What the state machine needs of a store.  Implemented over a state plugin by the runtime and over
// a map in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/status.hpp"

namespace kvstore::kv {

struct WriteOp {
  enum class Kind : uint8_t { kPut = 1, kDelete = 2, kDeleteRange = 3 };
  Kind kind = Kind::kPut;
  uint32_t space = 0;
  std::string key;    // range start for kDeleteRange
  std::string value;  // exclusive range end for kDeleteRange; empty: to the end of the space
};

// How far the state machine got, stored atomically with the data.
struct AppliedMark {
  uint64_t term = 0;
  uint64_t index = 0;
  std::string meta;  // the encoded configuration; empty keeps the stored one
};

struct ScanOptions {
  uint32_t space = 0;
  std::string lower;  // inclusive; empty: unbounded
  std::string upper;  // exclusive; empty: unbounded
  bool reverse = false;
  bool keys_only = false;
};
// Return false to stop.  The views live during the call only.
using ScanSink = std::function<bool(Bytes key, Bytes value)>;
using GetSink = std::function<void(Bytes value)>;
using GetManySink = std::function<void(size_t i, bool found, Bytes value)>;

// Walks the pairs of one space, one at a time; closed before its view.
class Cursor {
 public:
  virtual ~Cursor() = default;
  // Moves to the next pair, or the first; false at the end.
  virtual Result<bool> next() = 0;
  // The pair at which it stands, borrowed until the next call of next() or seek().
  virtual Bytes key() const = 0;
  virtual Bytes value() const = 0;
  // next() then moves to the first pair at or after `key` (in reverse: at or before it) within the
  // bounds.
  virtual Status seek(Bytes key) = 0;
};

// A point-in-time view.  One thread at a time.
class View {
 public:
  virtual ~View() = default;
  virtual Result<AppliedMark> applied() = 0;
  // NOT_FOUND without calling the sink when the key is absent.
  virtual Status get(uint32_t space, Bytes key, const GetSink& sink) = 0;
  virtual Status scan(const ScanOptions& options, const ScanSink& sink) = 0;
  // For walks that jump or run side by side; scan() is cheaper for a plain one.
  virtual Result<std::unique_ptr<Cursor>> cursor(const ScanOptions& options) = 0;
};

// The newest state and its one writer.  [apply-thread], but open_view: [any-thread].
class Store {
 public:
  virtual ~Store() = default;
  virtual Status get_many(uint32_t space, std::span<const Bytes> keys, const GetManySink& sink) = 0;
  // Atomic; visible to every view opened after it returned.
  virtual Status write(std::span<const WriteOp> ops, const AppliedMark& applied) = 0;
  virtual Result<std::unique_ptr<View>> open_view() = 0;
};

}  // namespace kvstore::kv
