#include "support/sim/sim_node.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kv/command_codec.hpp"
#include "kv/state_hash.hpp"
#include "wire/snapshot_stream.hpp"

namespace kvstore::sim {
namespace {

void complete(node::ProposalPtr proposal, raft::LogId at, kv::CommandResult result) {
  node::ProposalOutcome outcome;
  outcome.code = result.code;
  outcome.message = result.message;
  outcome.committed = result.code == Code::kOk ? node::Committed::kYes : node::Committed::kNo;
  outcome.at = at;
  outcome.result = std::move(result);
  proposal->done(std::move(outcome));
}

constexpr size_t kUnsyncedMax = 32;

raft::LogId mark_of(const test::MemoryData& data) {
  return {{data.applied.term}, {data.applied.index}};
}

}  // namespace

SimNode::SimNode(World* world, Network* network, SimConfig c)
    : config(std::move(c)), world_(world), network_(network) {
  wipe();
}

SimNode::~SimNode() {
  if (running()) crash(Crash::kProcess);
}

void SimNode::wipe() {
  KVS_ASSERT(!running());
  if (id_ && config.bug == StorageBug::kWipeKeepsId) {
    // The name and the cluster are all that is left.
    log_ = {};
    raft::LogWrite blank;
    blank.sequence = 1;
    log_.write(std::move(blank));
    log_.persist();
  } else {
    id_ = {(world_->random() >> 1) | 1};
    cluster_ = {};
    log_ = {};
  }
  durable_ = {};
  unsynced_.clear();
  truncated_.clear();
}

void SimNode::bootstrap(const wire::ClusterId& cluster) {
  bootstrap(cluster, node::Membership::bootstrap({id_, config.name, config.address}));
}

void SimNode::bootstrap(const wire::ClusterId& cluster, const raft::Configuration& configuration) {
  cluster_ = cluster;
  raft::LogWrite first;
  first.sequence = 1;
  first.hard_state = raft::HardState{{1}, configuration.members.front().id, {1}};
  raft::Entry entry;
  entry.id = {{1}, {1}};
  entry.kind = raft::EntryKind::kConfiguration;
  entry.data = SharedBytes(configuration.encode());
  entry.crc = raft::entry_crc(entry.id, entry.kind, entry.data.view());
  first.entries.push_back(std::move(entry));
  log_.write(std::move(first));
  log_.persist();
}

node::AppliedReport SimNode::report() const {
  node::AppliedReport r;
  r.index = {machine_->applied_index()};
  r.revision = machine_->revision();
  r.newest_time_ms = machine_->newest_time_ms();
  r.open_uploads = machine_->open_uploads();
  r.oldest_upload_ms = machine_->oldest_upload_ms();
  r.compacted_revision = machine_->compacted_revision();
  r.oldest_change = machine_->oldest_change();
  r.history_bytes = machine_->history_bytes();
  r.leases = machine_->take_lease_changes();
  return r;
}

// What runtime/recovery does with real stores.
node::Start SimNode::recover() {
  node::Start start;
  start.options = config.options;
  start.options.raft.id = id_;
  start.options.raft.seed = world_->random();
  start.identity.cluster = cluster_;
  start.identity.id = id_;
  start.identity.name = config.name;
  start.identity.raft_address = config.address;
  start.identity.api_addresses = {{"http", "http://" + config.name}};
  raft::Configuration configuration;
  if (!durable_.applied.meta.empty()) {
    Result<raft::Configuration> decoded = raft::Configuration::decode(durable_.applied.meta);
    KVS_ASSERT(decoded.is_ok());
    configuration = std::move(*decoded);
  }
  start.restored = log_.restore(mark_of(durable_), std::move(configuration),
                                config.options.raft.entry_cache_bytes);
  KVS_ASSERT(raft::check_restored(start.options.raft, start.restored).is_ok());
  start.applied = report();
  return start;
}

void SimNode::start() {
  KVS_ASSERT(!running());
  ++life_;
  store_ = std::make_unique<test::MemoryStore>();
  store_->replace(durable_);
  Result<std::unique_ptr<kv::StateMachine>> opened = kv::StateMachine::open(store_.get());
  KVS_ASSERT(opened.is_ok());
  machine_ = std::move(*opened);
  network_->join(this);
  node::Ports ports{this, this, this, this, this, this, this};
  node_ = std::make_unique<node::Node>(recover(), ports);
  if (probe != nullptr) probe->on_state(*this);
  schedule_tick();
}

void SimNode::pause() {
  KVS_ASSERT(running() && !paused_);
  paused_ = true;
}

void SimNode::resume() {
  KVS_ASSERT(paused_);
  paused_ = false;
  for (std::function<void()>& action : std::exchange(held_, {})) later(0, std::move(action));
  for (node::ProposalPtr& proposal : std::exchange(held_proposals_, {}))
    submit(std::move(proposal));
  for (node::ReadPtr& asked : std::exchange(held_reads_, {})) read(std::move(asked));
  for (node::ControlPtr& asked : std::exchange(held_controls_, {})) control(std::move(asked));
}

// The newest state is kept by reference until the next write copies it.
void SimNode::remember_state() {
  if (config.state_loss == StateLoss::kToSync) return;
  unsynced_.push_back(store_->share());
  if (unsynced_.size() > kUnsyncedMax) unsynced_.erase(unsynced_.begin() + kUnsyncedMax / 2);
}

test::MemoryData SimNode::state_after_power_cut() {
  std::erase_if(unsynced_, [this](const auto& state) {
    return state->applied.index <= durable_.applied.index;
  });
  const size_t survives = unsynced_.empty() ? 0 : world_->below(unsynced_.size() + 1);
  test::MemoryData state = survives == 0 ? durable_ : *unsynced_[survives - 1];
  if (config.bug == StorageBug::kMarkOutsideBatch && survives < unsynced_.size())
    state.applied = unsynced_[survives]->applied;
  return state;
}

void SimNode::fence(const char* what) {
  if (std::exchange(fenced_, true)) return;
  enter([what](node::Node& n) { n.fail(Status(Code::kIo, what)); });
  later(world_->between(1, 50 * kMs), [this] { crash(Crash::kPower); });
}

void SimNode::crash(Crash how) {
  KVS_ASSERT(running() && !entered_);
  if (how == Crash::kProcess && !fenced_) {
    durable_ = store_->data();
    log_.crash(SIZE_MAX);
  } else {
    durable_ = state_after_power_cut();
    log_.crash(world_->below(log_.queued() + 1), world_->below(4));
  }
  unsynced_.clear();
  if (config.bug == StorageBug::kCutTail) log_.lose_last();
  if (config.bug == StorageBug::kIgnoreTruncation) {
    for (raft::Entry& entry : std::exchange(truncated_, {})) log_.bring_back(std::move(entry));
  }
  end_life();
}

void SimNode::shut_down(uint64_t limit_us) {
  enter([](node::Node& n) { n.begin_shutdown(); });
  world_->run_until(limit_us,
                    [this] { return !running() || (node_->may_stop() && apply_queue_.empty()); });
  if (!running()) return;     // its disk failed meanwhile
  world_->run_for(10 * kMs);  // what was sent arrives
  if (!running()) return;
  enter([](node::Node& n) { n.fail(Status(Code::kClosed, "the node is shutting down")); });
  crash(Crash::kProcess);
}

void SimNode::end_life() {
  ++life_;
  network_->leave(this);
  // The ends of forwarded requests look at the node: it goes last.
  for (ApplyTask& task : std::exchange(apply_queue_, {})) {
    auto* batch = std::get_if<node::ApplyBatch>(&task);
    if (batch == nullptr) continue;
    for (auto& [offset, proposal] : batch->proposals) {
      proposal->fail(Code::kIndeterminate, "the node stopped", node::Committed::kUnknown);
    }
  }
  for (node::ProposalPtr& held : std::exchange(held_proposals_, {}))
    held->fail(Code::kUnreachable, "the node stopped", node::Committed::kNo);
  for (node::ReadPtr& held : std::exchange(held_reads_, {}))
    held->fail(Code::kUnreachable, "the node stopped");
  for (node::ControlPtr& held : std::exchange(held_controls_, {}))
    held->finish(Code::kUnreachable, "the node stopped");
  node_.reset();
  machine_.reset();
  store_.reset();
  persist_scheduled_ = apply_scheduled_ = receiving_ = fenced_ = paused_ = false;
  held_.clear();
  streams_ = 0;
}

void SimNode::later(uint64_t delay_us, std::function<void()> action) {
  world_->after(delay_us, [this, life = life_, action = std::move(action)]() mutable {
    if (life != life_ || !running()) return;
    if (paused_) {
      held_.push_back(std::move(action));
    } else {
      action();
    }
  });
}

void SimNode::enter(const Turn& turn) {
  KVS_ASSERT(!entered_);
  entered_ = true;
  turn(*node_);
  node_->flush();
  entered_ = false;
}

void SimNode::enter_later(uint64_t delay_us, Turn turn) {
  later(delay_us, [this, turn = std::move(turn)] { enter(turn); });
}

void SimNode::schedule_tick() {
  uint64_t tick_us = config.tick_us;
  later(world_->between(tick_us - tick_us / 50, tick_us + tick_us / 50), [this] {
    enter([free_bytes = disk_faults.free_bytes](node::Node& n) {
      n.on_disk_space(free_bytes);
      n.tick();
    });
    schedule_tick();
  });
}

void SimNode::post(std::function<void()> work) {
  enter_later(0, [work = std::move(work)](node::Node&) { work(); });
}

// ---- clients

void SimNode::submit(node::ProposalPtr proposal) {
  if (paused_) return held_proposals_.push_back(std::move(proposal));
  auto shared = std::make_shared<node::ProposalPtr>(std::move(proposal));
  enter([shared](node::Node& n) {
    std::vector<node::ProposalPtr> one;
    one.push_back(std::move(*shared));
    n.submit(std::move(one));
  });
}

void SimNode::read(node::ReadPtr read) {
  if (paused_) return held_reads_.push_back(std::move(read));
  auto shared = std::make_shared<node::ReadPtr>(std::move(read));
  enter([shared](node::Node& n) {
    std::vector<node::ReadPtr> one;
    one.push_back(std::move(*shared));
    n.read(std::move(one));
  });
}

void SimNode::control(node::ControlPtr control) {
  if (paused_) return held_controls_.push_back(std::move(control));
  auto shared = std::make_shared<node::ControlPtr>(std::move(control));
  enter([shared](node::Node& n) { n.control(std::move(*shared)); });
}

void SimNode::look_up(const std::string& key, const kv::ItemSink& sink) {
  Result<std::unique_ptr<kv::View>> view = store_->open_view();
  KVS_ASSERT(view.is_ok());
  Status read = kv::read_item(**view, 0, key, sink);
  KVS_ASSERT(read || read.code() == Code::kNotFound);
}

std::optional<SimNode::Found> SimNode::find(const std::string& key) {
  std::optional<Found> found;
  look_up(key, [&](const kv::ItemView& item) {
    found = Found{std::string(item.value), item.mod_revision};
    return true;
  });
  if (!found || !found->value.empty()) return found;
  Result<std::unique_ptr<kv::View>> view = store_->open_view();
  Status read =
      kv::read_value(**view, 0, key, 0, UINT64_MAX, [&](Bytes piece) { found->value += piece; });
  if (!read) found->value = "(unreadable: " + read.to_string() + ")";
  return found;
}

std::vector<std::pair<std::string, SimNode::Found>> SimNode::list(const std::string& prefix) {
  std::vector<std::pair<std::string, Found>> items;
  Result<std::unique_ptr<kv::View>> view = store_->open_view();
  kv::Range range;
  range.kind = kv::Range::Kind::kPrefix;
  range.key = prefix;
  Result<kv::ScanResult> scanned =
      kv::scan_items(**view, 0, range, 0, 0, UINT64_MAX, [&](const kv::ItemView& item) {
        items.emplace_back(item.key, Found{std::string(item.value), item.mod_revision});
        return true;
      });
  KVS_ASSERT(scanned.is_ok());
  return items;
}

uint64_t SimNode::store_revision() {
  Result<std::unique_ptr<kv::View>> view = store_->open_view();
  Result<uint64_t> revision = kv::read_revision(**view);
  KVS_ASSERT(revision.is_ok());
  return *revision;
}

std::optional<std::string> SimNode::local_value(const std::string& key) {
  std::optional<std::string> value;
  look_up(key, [&](const kv::ItemView& item) {
    value = std::string(item.value);
    return true;
  });
  return value;
}

uint64_t SimNode::local_revision(const std::string& key) {
  uint64_t revision = 0;
  look_up(key, [&](const kv::ItemView& item) {
    revision = item.mod_revision;
    return true;
  });
  return revision;
}

// ---- log

void SimNode::write(raft::LogWrite write) {
  if (config.bug == StorageBug::kForgetHardState && log_.durable().hard_state.term.value > 0)
    write.hard_state.reset();
  if (config.bug == StorageBug::kIgnoreTruncation && write.truncate_from) {
    const raft::testing::DurableLog& log = log_.visible();
    for (raft::Index i = *write.truncate_from; i <= log.last().index; i = i + 1)
      truncated_.push_back(log.at(i));
  }
  const uint64_t sequence = write.sequence;
  log_.write(std::move(write));
  if (config.bug == StorageBug::kReportBeforeSync) report_persisted(sequence);
  schedule_persist();
}

void SimNode::schedule_persist() {
  if (std::exchange(persist_scheduled_, true)) return;
  uint64_t due_us =
      world_->now_us() + world_->between(disk_faults.write_min_us, disk_faults.write_max_us);
  later(std::max(due_us, disk_faults.stalled_until_us) - world_->now_us(), [this] {
    persist_scheduled_ = false;
    persist();
  });
}

void SimNode::persist() {
  if (fenced_) return;
  if (disk_faults.stalled_until_us > world_->now_us()) return schedule_persist();
  if (std::exchange(disk_faults.fail_write, false)) {
    if (config.bug != StorageBug::kIgnoreWriteError) return fence("a log write failed");
    report_persisted(log_.lose_queued());
    return;
  }
  // Group commit: what was queued up to now, or a part of it.
  report_persisted(log_.persist(1 + world_->below(log_.queued() + 1)));
  if (!log_.idle()) schedule_persist();
}

void SimNode::report_persisted(uint64_t sequence) {
  if (sequence == 0) return;
  enter_later(0, [sequence](node::Node& n) { n.on_persisted(sequence); });
}

void SimNode::load(const raft::LoadRequest& request) {
  later(world_->between(disk_faults.write_min_us, disk_faults.write_max_us), [this, request] {
    if (std::exchange(disk_faults.fail_read, false)) return fence("log entries cannot be read");
    auto loaded = std::make_shared<raft::EntriesLoaded>(log_.load(request));
    enter([loaded](node::Node& n) { n.on_loaded(std::move(*loaded)); });
  });
}

void SimNode::compact(raft::LogId upto) {
  report_persisted(log_.persist());
  log_.compact(upto.index);
}

// ---- state

void SimNode::apply(node::ApplyBatch batch) {
  apply_queue_.push_back(std::move(batch));
  schedule_apply();
}

void SimNode::schedule_apply() {
  if (std::exchange(apply_scheduled_, true)) return;
  later(world_->between(10, disk_faults.apply_max_us), [this] {
    apply_scheduled_ = false;
    run_apply();
    if (!apply_queue_.empty()) schedule_apply();
  });
}

void SimNode::run_apply() {
  ApplyTask task = std::move(apply_queue_.front());
  apply_queue_.pop_front();
  if (auto* batch = std::get_if<node::ApplyBatch>(&task)) {
    run_batch(batch);
  } else {
    run_install(&std::get<Install>(task));
  }
}

void SimNode::run_batch(node::ApplyBatch* batch) {
  std::vector<kv::LogEntry> entries;
  for (const raft::Entry& e : batch->entries) {
    entries.push_back({e.id.term.value, e.id.index.value, static_cast<kv::LogEntry::Kind>(e.kind),
                       e.data.view()});
  }
  const std::vector<kv::CommandResult> results = apply_entries(entries);
  for (size_t i = 0; probe != nullptr && i < results.size(); ++i)
    probe->on_applied(*this, batch->entries[i], results[i]);
  if (probe != nullptr) probe->on_state(*this);
  // The report and the ends race as those of two threads do; reports stay in order.
  report_due_us_ =
      std::max(report_due_us_, world_->now_us() + world_->below(disk_faults.apply_max_us));
  enter_later(report_due_us_ - world_->now_us(),
              [r = report()](node::Node& n) { n.on_applied(r); });
  for (auto& [offset, proposal] : batch->proposals) {
    complete(std::move(proposal), batch->entries[offset].id, results[offset]);
  }
}

// In one state write, but that one ends at a checkpoint, where the state is hashed.
std::vector<kv::CommandResult> SimNode::apply_entries(std::span<const kv::LogEntry> entries) {
  std::vector<kv::CommandResult> results, some;
  while (!entries.empty()) {
    const auto checkpoint = std::find_if(entries.begin(), entries.end(), [](const auto& e) {
      return e.kind == kv::LogEntry::Kind::kCommand && kv::is_checkpoint(e.data);
    });
    const bool found = checkpoint != entries.end();
    const auto count = static_cast<size_t>(checkpoint - entries.begin()) + (found ? 1 : 0);
    const Status applied = machine_->apply(entries.first(count), &some);
    KVS_ASSERT(applied.is_ok());
    remember_state();
    std::move(some.begin(), some.end(), std::back_inserter(results));
    entries = entries.subspan(count);
    if (found) hash_state();
  }
  return results;
}

void SimNode::hash_state() {
  Result<std::unique_ptr<kv::View>> view = store_->open_view();
  KVS_ASSERT(view.is_ok());
  Result<kv::StateHash> hash = kv::hash_state(**view, [] { return false; });
  KVS_ASSERT(hash.is_ok());
  enter_later(world_->below(disk_faults.sync_max_us + 1),
              [h = *hash](node::Node& n) { n.on_state_hash(h); });
}

// The state is replaced durably; the log follows later, and a crash may come in between.
void SimNode::run_install(Install* install) {
  if (config.bug == StorageBug::kMergeSnapshot) {
    for (auto& [space, pairs] : store_->data().spaces) install->data.spaces[space].merge(pairs);
  }
  durable_ = std::move(install->data);
  unsynced_.clear();
  durable_.applied = {install->meta.last.term.value, install->meta.last.index.value,
                      install->meta.configuration.encode()};
  store_->replace(durable_);
  Status reloaded = machine_->reload();
  KVS_ASSERT(reloaded.is_ok());
  ++snapshots_received_;
  if (probe != nullptr) probe->on_install(*this);
  if (probe != nullptr) probe->on_state(*this);
  report_due_us_ = std::max(report_due_us_, world_->now_us()) +
                   world_->between(disk_faults.write_min_us, disk_faults.write_max_us);
  later(report_due_us_ - world_->now_us(), [this, meta = install->meta, r = report()] {
    uint64_t sequence = log_.reset(meta.last);
    enter([&](node::Node& n) {
      if (sequence != 0) n.on_persisted(sequence);
      n.on_snapshot_installed(meta, r);
    });
  });
}

void SimNode::sync() {
  later(world_->below(disk_faults.sync_max_us + 1), [this] {
    if (std::exchange(disk_faults.fail_sync, false)) return fence("the state cannot be synced");
    test::MemoryData data = store_->data();
    raft::LogId durable = mark_of(data);
    if (data.applied.index >= durable_.applied.index && config.bug != StorageBug::kSyncTooEarly)
      durable_ = std::move(data);
    enter([durable](node::Node& n) { n.on_state_synced(durable); });
  });
}

// In order with the batches, as on the apply thread, but that the answer comes at once.
void SimNode::read_lease_keys(uint64_t lease, uint64_t limit,
                              std::function<void(Result<kv::LeaseKeys>)> done) {
  later(world_->between(10, disk_faults.apply_max_us), [this, lease, limit, done] {
    Result<std::unique_ptr<kv::View>> view = store_->open_view();
    KVS_ASSERT(view.is_ok());
    done(kv::read_lease_keys(**view, lease, limit));
  });
}

void SimNode::install(std::unique_ptr<node::StagedSnapshot> staged,
                      const raft::SnapshotMeta& meta) {
  apply_queue_.push_back(Install{std::move(static_cast<Staged*>(staged.get())->data), meta});
  schedule_apply();
}

// ---- observer

void SimNode::on_view(const node::NodeView& view) {
  view_ = view;
}

Status SimNode::save_identity(const node::Identity& identity) {
  cluster_ = identity.cluster;
  return Status::ok();
}

}  // namespace kvstore::sim
