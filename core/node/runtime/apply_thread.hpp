// The state's one writer: applies committed entries in batches, completes proposals, installs
// snapshots; and the background thread that makes the state durable.
#pragma once

#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "kv/state_machine.hpp"
#include "node/node.hpp"
#include "node/ports.hpp"
#include "node/runtime/fatal.hpp"
#include "node/runtime/state_adapter.hpp"
#include "node/runtime/worker.hpp"
#include "plugin/state_store.hpp"

namespace kvstore::node::runtime {

class ApplyThread : public StatePort {
 public:
  struct Callbacks {
    std::function<void(const AppliedReport&)> applied;
    // The state shows this revision: after each batch and each install.
    std::function<void(uint64_t revision)> advanced;
    std::function<void(raft::LogId durable)> synced;
    // The state right after a Checkpoint.
    std::function<void(std::unique_ptr<kv::View>)> checkpoint;
    FatalFn fatal;
  };

  // All outlive the thread.
  ApplyThread(plugin::StateStore* store, StateAdapter* adapter, kv::StateMachine* machine,
              Callbacks callbacks)
      : store_(store), adapter_(adapter), machine_(machine), callbacks_(std::move(callbacks)) {}
  ~ApplyThread() override { stop(); }

  void start();
  void stop();

  void apply(ApplyBatch batch) override;
  void sync() override;
  void read_lease_keys(uint64_t lease, uint64_t limit,
                       std::function<void(Result<kv::LeaseKeys>)> done) override;
  // In order with apply(): replaces the state.  `done` runs on the apply thread after success.
  void install(std::shared_ptr<plugin::Restore> restore, raft::SnapshotMeta meta,
               std::function<void(const AppliedReport&)> done);

 private:
  struct Install {
    std::shared_ptr<plugin::Restore> restore;
    raft::SnapshotMeta meta;
    std::function<void(const AppliedReport&)> done;
  };
  struct LeaseKeysRead {
    uint64_t lease = 0;
    uint64_t limit = 0;
    std::function<void(Result<kv::LeaseKeys>)> done;
  };
  using Task = std::variant<ApplyBatch, Install, LeaseKeysRead>;
  struct Sync {};

  void run(std::vector<Task>* tasks);
  Status apply_group(std::span<ApplyBatch*> group);
  Status apply_entries();
  Status run_install(Install* install);
  Status run_read(const LeaseKeysRead& read);
  AppliedReport report();

  plugin::StateStore* store_;
  StateAdapter* adapter_;
  kv::StateMachine* machine_;
  Callbacks callbacks_;
  Worker<Task> worker_;
  Worker<Sync> syncer_;
  bool failed_ = false;  // [apply-thread]
  std::vector<kv::LogEntry> entries_;
  std::vector<kv::CommandResult> results_;
  std::vector<kv::CommandResult> part_results_;
};

}  // namespace kvstore::node::runtime
