// The C++ face of kvstore.log/1: the replicated log and the hard state of one node.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <kvstore/abi/log.h>

#include "base/function_ref.hpp"
#include "base/status.hpp"
#include "plugin/options.hpp"

namespace kvstore::plugin {

// Owns one open log of a plugin.
//
// Lifecycle: open() .. close() (or the destructor); movable; a moved-from or closed store takes no
// calls. Concurrency: open, close on the main thread; write, compact, reset on the log thread only,
// one at a time; state, read, term, stats, get_extension on any thread, concurrent with the writer.
// All may block on the disk: never call them on the raft thread. Errors: those of log.h.  After an
// environment error (kIo, kNoSpace, kCorrupt, kNoMemory, kInternal) the instance is poisoned: close
// it.
class LogStore {
 public:
  static Result<LogStore> open(const kvs_log_api* table, const kvs_host* host,
                               const StorageOptions& options, const ProxyOptions& proxy);
  LogStore() = default;
  LogStore(LogStore&& other) noexcept;
  LogStore& operator=(LogStore&& other) noexcept;
  ~LogStore() { close(); }

  bool is_open() const { return log_ != nullptr; }
  void close();

  // One ordered, prefix-atomic step: hard state, then truncation, then entries.  `flags` is a set
  // of KVS_LOG_SYNC, KVS_LOG_SET_HARD_STATE (else `hard` is ignored) and KVS_LOG_TRUNCATE (else
  // `truncate_from` is ignored).  The entries are borrowed for the call.
  Status write(uint32_t flags, const kvs_hard_state& hard, uint64_t truncate_from,
               std::span<const kvs_entry> entries);
  // Drops everything up to and including `upto`, which becomes the base.
  Status compact(kvs_log_id upto);
  // Drops every entry, keeps the hard state; atomic and durable on return.
  Status reset(kvs_log_id base);

  Result<kvs_log_state> state() const;
  // Delivers entries first, first + 1, ... to `sink`, at least one even if it exceeds `max_bytes`;
  // slices are borrowed until the sink returns.  kCompacted below the first entry, kEnd beyond the
  // last.  A sink that fails ends the read with its status.
  using EntrySink = FunctionRef<Status(const kvs_entry&)>;
  Status read(uint64_t first, uint64_t max_count, uint64_t max_bytes, EntrySink sink) const;
  // The term of an entry; works for the base too.
  Result<uint64_t> term(uint64_t index) const;
  // A JSON object with figures of the engine.
  Result<std::string> stats() const;
  // NULL when the plugin does not offer it.
  const void* get_extension(const char* id) const;

 private:
  LogStore(const kvs_log_api* table, kvs_log* log) : table_(table), log_(log) {}

  const kvs_log_api* table_ = nullptr;
  kvs_log* log_ = nullptr;
};

}  // namespace kvstore::plugin
