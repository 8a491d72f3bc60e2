// One simulated node: the ports of node::Node over virtual time, and the disk that outlives it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kv/reader.hpp"
#include "kv/state_machine.hpp"
#include "node/node.hpp"
#include "support/memory_store.hpp"
#include "support/raft/test_disk.hpp"
#include "support/sim/network.hpp"
#include "support/sim/world.hpp"

namespace kvstore::sim {

struct DiskFaults {
  uint64_t write_min_us = kMs / 10;
  uint64_t write_max_us = kMs;
  uint64_t apply_max_us = kMs / 2;
  uint64_t sync_max_us = 2 * kMs;
  uint64_t stalled_until_us = 0;  // nothing of the log completes before
  uint64_t free_bytes = uint64_t{1} << 40;
  // The next operation of this kind fails, which fences the node; its process ends soon after.
  bool fail_write = false;
  bool fail_read = false;
  bool fail_sync = false;
};

// What a power cut leaves of the state beyond its last sync.
enum class StateLoss {
  kToSync,     // nothing: the engine writes through a file that is synced as a whole
  kAnyPrefix,  // the batches up to any point: the state may be ahead of the log, or behind it
};

// Mistakes of a storage plugin or of its caller, to show that they would be found.
enum class StorageBug {
  kNone,
  kReportBeforeSync,  // writes are reported durable when they were only handed over
  kIgnoreWriteError,  // a failed write is reported durable
  kMarkOutsideBatch,  // the applied mark is stored before the data
  kCutTail,           // a restart drops the newest entry of the log
  kSyncTooEarly,      // the state is reported durable before it is
  kMergeSnapshot,     // a snapshot is put on top of the old state
  kForgetHardState,   // term and vote are not stored
  kIgnoreTruncation,  // entries that were truncated come back after a restart
  kWipeKeepsId,       // an emptied disk comes back under the old id
};

class SimNode;

// Sees what a node does, as it does it.
class Probe {
 public:
  virtual ~Probe() = default;
  virtual void on_send(SimNode&, const raft::Message&) {}
  virtual void on_applied(SimNode&, const raft::Entry&, const kv::CommandResult&) {}
  // The store holds everything up to its mark: after a batch, an install or a start.
  virtual void on_state(SimNode&) {}
  virtual void on_install(SimNode&) {}
};

// What a node is set up with; tests change it before start().
struct SimConfig {
  std::string name;
  std::string address;
  node::Options options;  // raft.id and raft.seed are filled in
  uint64_t tick_us = 25 * kMs;
  uint64_t clock_percent = 100;  // the speed of its monotonic clock
  StateLoss state_loss = StateLoss::kToSync;
  StorageBug bug = StorageBug::kNone;
};

// A received snapshot that waits for the node's decision.
struct Staged final : node::StagedSnapshot {
  explicit Staged(test::MemoryData d) : data(std::move(d)) {}
  test::MemoryData data;
};

// Lifecycle: prepare() or wipe() makes a data directory, start() runs the node, crash() ends it at
// once; what its disk held then decides what the next start() finds.
class SimNode final : public Endpoint,
                      private node::Clock,
                      private node::Executor,
                      private node::LogPort,
                      private node::StatePort,
                      private node::TransportPort,
                      private node::SnapshotPort,
                      private node::ObserverPort {
 public:
  enum class Crash { kProcess, kPower };  // a process crash keeps what the kernel has

  SimNode(World* world, Network* network, SimConfig config);
  ~SimNode() override;

  SimConfig config;
  DiskFaults disk_faults;

  // An empty data directory with a new id.
  void wipe();
  // Makes the node the first member of a new cluster at its first start; or one of these.
  void bootstrap(const wire::ClusterId& cluster);
  void bootstrap(const wire::ClusterId& cluster, const raft::Configuration& configuration);

  void start();
  void crash(Crash how);
  // As SIGTERM: hands over, waits until `limit_us` for what is open, ends.
  void shut_down(uint64_t limit_us);
  bool running() const { return node_ != nullptr; }
  // As SIGSTOP and SIGCONT: everything waits, and then happens at once.
  void pause();
  void resume();
  bool paused() const { return paused_; }

  Probe* probe = nullptr;
  int64_t wall_offset_ms = 0;

  // Running nodes only.
  node::Node& node() { return *node_; }
  const raft::RaftNode& raft() const { return node_->raft(); }
  test::MemoryStore& store() { return *store_; }
  // The value as applied here; nullopt when absent.
  std::optional<std::string> local_value(const std::string& key);
  // Its modification revision; 0 when absent.
  uint64_t local_revision(const std::string& key);

  // A client's request.
  void submit(node::ProposalPtr proposal);
  void read(node::ReadPtr read);
  void control(node::ControlPtr control);

  raft::NodeId id() const { return id_; }
  const wire::ClusterId& cluster() const { return cluster_; }
  const std::string& name() const { return config.name; }
  uint64_t snapshots_received() const { return snapshots_received_; }
  // A snapshot is being received or installed; one is being sent.
  bool receiving() const { return receiving_; }
  bool streaming() const { return streams_ > 0; }
  // What a power cut now, or the next start, would find.
  bool has_unsynced_state() const {
    return running() && store_->share()->applied.index > durable_.applied.index;
  }
  bool state_ahead_of_log() const {
    return !running() && durable_.applied.index > log_.durable().last().index.value;
  }
  uint64_t life() const { return life_; }
  bool fenced() const { return fenced_; }
  const raft::testing::TestDisk& log_disk() const { return log_; }
  // As clients of this node measure deadlines.
  uint64_t clock_ms() { return now_ms(); }
  // The value, also when it is stored in parts, with its modification revision; and all of them.
  struct Found {
    std::string value;
    uint64_t revision = 0;
  };
  std::optional<Found> find(const std::string& key);
  std::vector<std::pair<std::string, Found>> list(const std::string& prefix);
  uint64_t store_revision();
  // What other threads of the node would answer by.
  const node::LocalReads& local_reads() const { return local_reads_; }

  // ---- Endpoint
  const std::string& address() const override { return config.address; }
  wire::Hello hello() const override;
  Status meet(const wire::Hello& remote, raft::NodeId dialed) override;
  void on_message(raft::NodeId from, SharedBytes payload) override;
  void on_connected(raft::NodeId peer) override;
  void on_disconnected(raft::NodeId peer) override;
  void on_writable(raft::NodeId peer, node::Lane lane) override;
  void on_rejected(const Status& why) override;
  void on_stream(raft::NodeId from, const std::string& header, const std::string& bytes,
                 std::function<void(Status)> done) override;

 private:
  struct Install {
    test::MemoryData data;
    raft::SnapshotMeta meta;
  };
  using ApplyTask = std::variant<node::ApplyBatch, Install>;

  // ---- ports
  uint64_t now_ms() override { return world_->now_us() / kMs * config.clock_percent / 100; }
  uint64_t wall_ms() override {
    return static_cast<uint64_t>(1'700'000'000'000 + static_cast<int64_t>(world_->now_us() / kMs) +
                                 wall_offset_ms);
  }
  void post(std::function<void()> work) override;
  void write(raft::LogWrite write) override;
  void load(const raft::LoadRequest& request) override;
  void compact(raft::LogId upto) override;
  void apply(node::ApplyBatch batch) override;
  void sync() override;
  void read_lease_keys(uint64_t lease, uint64_t limit,
                       std::function<void(Result<kv::LeaseKeys>)> done) override;
  Status send(raft::NodeId to, node::Lane lane,
              std::vector<wire::EncodedMessage> messages) override;
  void set_peer(raft::NodeId id, const std::string& address) override;
  void remove_peer(raft::NodeId id) override;
  void send(raft::NodeId peer, raft::Term term) override;
  void install(std::unique_ptr<node::StagedSnapshot> staged,
               const raft::SnapshotMeta& meta) override;
  void on_view(const node::NodeView& view) override;
  void on_local_reads(const node::LocalReads& reads) override { local_reads_ = reads; }
  Status save_identity(const node::Identity& identity) override;

  using Turn = std::function<void(node::Node&)>;
  // Runs on the node's executor, followed by a flush.
  void enter(const Turn& turn);
  // Later, unless this life ended.
  void later(uint64_t delay_us, std::function<void()> action);
  void enter_later(uint64_t delay_us, Turn turn);

  void look_up(const std::string& key, const kv::ItemSink& sink);
  node::Start recover();
  node::AppliedReport report() const;
  void schedule_tick();
  void schedule_persist();
  void persist();
  void report_persisted(uint64_t sequence);
  // A disk failed: the node takes part in nothing any more, and its process ends.
  void fence(const char* what);
  void remember_state();
  test::MemoryData state_after_power_cut();
  void schedule_apply();
  void run_apply();
  void run_batch(node::ApplyBatch* batch);
  std::vector<kv::CommandResult> apply_entries(std::span<const kv::LogEntry> entries);
  void hash_state();
  void run_install(Install* install);
  void end_life();

  World* world_;
  Network* network_;

  // ---- what the disk keeps
  raft::NodeId id_;
  wire::ClusterId cluster_{};
  raft::testing::TestDisk log_;
  test::MemoryData durable_;                                      // the state as of its last sync
  std::deque<std::shared_ptr<const test::MemoryData>> unsynced_;  // later states, oldest first
  std::vector<raft::Entry> truncated_;                            // for kIgnoreTruncation

  // ---- one life
  uint64_t life_ = 0;
  bool entered_ = false;
  bool paused_ = false;
  bool fenced_ = false;
  // While paused, and what clients asked meanwhile.
  std::deque<std::function<void()>> held_;
  std::vector<node::ProposalPtr> held_proposals_;
  std::vector<node::ReadPtr> held_reads_;
  std::vector<node::ControlPtr> held_controls_;
  uint64_t streams_ = 0;
  std::unique_ptr<test::MemoryStore> store_;
  std::unique_ptr<kv::StateMachine> machine_;
  std::unique_ptr<node::Node> node_;
  node::NodeView view_;
  node::LocalReads local_reads_;
  bool persist_scheduled_ = false;
  bool apply_scheduled_ = false;
  std::deque<ApplyTask> apply_queue_;
  uint64_t report_due_us_ = 0;  // of the newest report of the apply thread
  bool receiving_ = false;
  uint64_t snapshots_received_ = 0;
};

}  // namespace kvstore::sim
