// The log's one writer, with group commit, and the thread that reads old entries.
#pragma once

#include <functional>
#include <variant>
#include <vector>

#include "node/ports.hpp"
#include "node/runtime/fatal.hpp"
#include "node/runtime/worker.hpp"
#include "plugin/log_store.hpp"

namespace kvstore::node::runtime {

// Everything queued while one write ran becomes the next write: one call, one fsync
// (performance.md, rule 1).
class LogThread : public LogPort {
 public:
  struct Callbacks {
    std::function<void(uint64_t sequence)> persisted;
    std::function<void(raft::EntriesLoaded)> loaded;
    FatalFn fatal;
  };

  // `store` outlives the thread.
  LogThread(plugin::LogStore* store, Callbacks callbacks)
      : store_(store), callbacks_(std::move(callbacks)) {}
  ~LogThread() override { stop(); }

  void start();
  void stop();

  void write(raft::LogWrite write) override;
  void load(const raft::LoadRequest& request) override;
  void compact(raft::LogId upto) override;
  // In order with writes: empties the log; `done` runs on the log thread.
  void reset(raft::LogId base, std::function<void()> done);

 private:
  struct Reset {
    raft::LogId base;
    std::function<void()> done;
  };
  struct Compact {
    raft::LogId upto;
  };
  using Task = std::variant<raft::LogWrite, Compact, Reset>;

  void run(std::vector<Task>* tasks);
  Status write_group(const std::vector<raft::LogWrite*>& group);
  Status flush_group(std::vector<raft::LogWrite*>* group);
  void read_entries(const raft::LoadRequest& request);

  plugin::LogStore* store_;
  Callbacks callbacks_;
  Worker<Task> writer_;
  Worker<raft::LoadRequest> reader_;
  std::vector<kvs_entry> entries_;  // [log-thread] scratch
  bool failed_ = false;             // [log-thread]
};

// An entry as read from the log; CORRUPT when its checksum does not hold.
Result<raft::Entry> entry_from_abi(const kvs_entry& e);

}  // namespace kvstore::node::runtime
