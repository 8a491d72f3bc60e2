// The C++ face of kvstore.state/1: the applied key-value state of one node.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <kvstore/abi/state.h>

#include "base/bytes.hpp"
#include "base/function_ref.hpp"
#include "base/status.hpp"
#include "plugin/options.hpp"

namespace kvstore::plugin {

struct StateHandle;  // one open state with the number of its children

// How far the state machine got, as read back from a view.
struct AppliedMark {
  kvs_log_id at{};
  std::string meta;
};

// Walks the pairs of one space in key order.  One thread; closed before its view.
class Iterator {
 public:
  Iterator(Iterator&& other) noexcept;
  Iterator& operator=(Iterator&& other) noexcept;
  ~Iterator() { close(); }
  void close();

  // Fills the front of `out` with the next pairs and returns how many: at least one, even when it
  // exceeds `bytes_max`, and 0 at the end.  The pairs are borrowed until the next call on this
  // iterator.
  Result<size_t> next(std::span<kvs_pair> out, uint64_t bytes_max);
  // The next pair is then the first at or after `key` (at or before it when reverse), within the
  // bounds.
  Status seek(Bytes key);

 private:
  friend class View;
  Iterator(StateHandle* state, kvs_iter* iter);
  StateHandle* state_;
  kvs_iter* iter_;
};

struct IterateOptions {
  uint32_t space = 0;
  Bytes lower{};  // inclusive; empty: unbounded
  Bytes upper{};  // exclusive; empty: unbounded
  bool reverse = false;
  bool keys_only = false;
};

// A consistent read-only picture of the state.  Opened and closed on any thread, used by one at a
// time; closed before its store and after its iterators.
class View {
 public:
  View(View&& other) noexcept;
  View& operator=(View&& other) noexcept;
  ~View() { close(); }
  void close();

  Result<AppliedMark> applied() const;
  // Calls `sink` once with the whole value, borrowed for that call; kNotFound when the key is
  // absent.
  Status get(uint32_t space, Bytes key, FunctionRef<Status(Bytes)> sink) const;
  // The same with a copy.
  Result<std::string> get(uint32_t space, Bytes key) const;
  // The bounds are borrowed for the call.
  Result<Iterator> iterate(const IterateOptions& options) const;

 private:
  friend class StateStore;
  View(StateHandle* state, kvs_view* view);
  StateHandle* state_;
  kvs_view* view_;
};

// A snapshot on its way in, invisible until commit().  Dropping it aborts.
class Restore {
 public:
  Restore(Restore&& other) noexcept;
  Restore& operator=(Restore&& other) noexcept;
  ~Restore() { abort(); }

  // On the stream's own thread; the pairs are borrowed.
  Status put(uint32_t space, std::span<const kvs_pair> pairs);
  // [apply-thread] Atomically and durably replaces all spaces and the applied mark.  Whatever it
  // returns, the restore is over.
  Status commit(kvs_log_id at, Bytes meta);
  // Idempotent; nothing happens after commit().
  void abort();

 private:
  friend class StateStore;
  Restore(StateHandle* state, kvs_restore* restore);
  StateHandle* state_;
  kvs_restore* restore_;
};

// Owns one open state of a plugin.
//
// Lifecycle: open() .. close() (or the destructor), after every view, iterator and restore
// (asserted). Concurrency: write, get_many on the apply thread; sync on a background thread,
// concurrent with write; view, restore, capabilities, stats on any thread.  All may block on the
// disk. Errors: those of state.h; after an environment error the instance is poisoned: close it.
class StateStore {
 public:
  static Result<StateStore> open(const kvs_state_api* table, const kvs_host* host,
                                 const StorageOptions& options, const ProxyOptions& proxy);
  StateStore();
  StateStore(StateStore&& other) noexcept;
  StateStore& operator=(StateStore&& other) noexcept;
  ~StateStore();

  bool is_open() const { return handle_ != nullptr; }
  void close();

  // A set of KVS_CAP_*.
  uint64_t capabilities() const;
  // Applies the operations in order and moves the applied mark, atomically; durable on return only
  // with KVS_KV_SYNC in `flags`.  An empty `meta` keeps the stored one.
  Status write(uint32_t flags, std::span<const kvs_kv_op> ops, kvs_log_id at, Bytes meta);
  // Everything up to the returned mark survives power loss.
  Result<kvs_log_id> sync();
  // Calls `sink(i, found, value)` once for every key, in order; the value is borrowed for that
  // call.
  using FoundSink = FunctionRef<Status(uint32_t, bool, Bytes)>;
  Status get_many(uint32_t space, std::span<const kvs_slice> keys, FoundSink sink) const;

  Result<View> view() const;
  Result<Restore> restore();
  // A JSON object with figures of the engine.
  Result<std::string> stats() const;
  // NULL when the plugin does not offer it.
  const void* get_extension(const char* id) const;

 private:
  std::unique_ptr<StateHandle> handle_;
};

}  // namespace kvstore::plugin
