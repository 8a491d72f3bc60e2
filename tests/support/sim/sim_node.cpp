#include "support/sim/sim_node.hpp"

#include <algorithm>
#include <utility>

#include "wire/snapshot_stream.hpp"

namespace kvstore::sim {
namespace {

struct Staged final : node::StagedSnapshot {
  explicit Staged(test::MemoryData d) : data(std::move(d)) {}
  test::MemoryData data;
};

void complete(node::ProposalPtr proposal, raft::LogId at, kv::CommandResult result) {
  node::ProposalOutcome outcome;
  outcome.code = result.code;
  outcome.message = result.message;
  outcome.committed = result.code == Code::kOk ? node::Committed::kYes : node::Committed::kNo;
  outcome.at = at;
  outcome.result = std::move(result);
  proposal->done(std::move(outcome));
}

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
  id_ = {(world_->random() >> 1) | 1};
  cluster_ = {};
  log_ = {};
  durable_ = {};
}

void SimNode::bootstrap(const wire::ClusterId& cluster) {
  cluster_ = cluster;
  raft::Configuration configuration =
      node::Membership::bootstrap({id_, config.name, config.address});
  raft::LogWrite first;
  first.sequence = 1;
  first.hard_state = raft::HardState{{1}, id_, {1}};
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
  schedule_tick();
}

void SimNode::crash(Crash how) {
  KVS_ASSERT(running() && !entered_);
  if (how == Crash::kProcess) {
    durable_ = store_->data();
    log_.crash(SIZE_MAX);
  } else {
    log_.crash(world_->below(log_.queued() + 1), world_->below(4));
  }
  end_life();
}

void SimNode::shut_down(uint64_t limit_us) {
  enter([](node::Node& n) { n.begin_shutdown(); });
  world_->run_until(limit_us, [this] { return node_->may_stop() && apply_queue_.empty(); });
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
  node_.reset();
  machine_.reset();
  store_.reset();
  persist_scheduled_ = apply_scheduled_ = receiving_ = false;
}

void SimNode::later(uint64_t delay_us, std::function<void()> action) {
  world_->after(delay_us, [this, life = life_, action = std::move(action)] {
    if (life == life_ && running()) action();
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
    enter([](node::Node& n) { n.tick(); });
    schedule_tick();
  });
}

void SimNode::post(std::function<void()> work) {
  enter_later(0, [work = std::move(work)](node::Node&) { work(); });
}

// ---- clients

void SimNode::submit(node::ProposalPtr proposal) {
  auto shared = std::make_shared<node::ProposalPtr>(std::move(proposal));
  enter([shared](node::Node& n) {
    std::vector<node::ProposalPtr> one;
    one.push_back(std::move(*shared));
    n.submit(std::move(one));
  });
}

void SimNode::read(node::ReadPtr read) {
  auto shared = std::make_shared<node::ReadPtr>(std::move(read));
  enter([shared](node::Node& n) {
    std::vector<node::ReadPtr> one;
    one.push_back(std::move(*shared));
    n.read(std::move(one));
  });
}

void SimNode::control(node::ControlPtr control) {
  auto shared = std::make_shared<node::ControlPtr>(std::move(control));
  enter([shared](node::Node& n) { n.control(std::move(*shared)); });
}

void SimNode::look_up(const std::string& key, const kv::ItemSink& sink) {
  Result<std::unique_ptr<kv::View>> view = store_->open_view();
  KVS_ASSERT(view.is_ok());
  Status read = kv::read_item(**view, key, sink);
  KVS_ASSERT(read || read.code() == Code::kNotFound);
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
  log_.write(std::move(write));
  schedule_persist();
}

void SimNode::schedule_persist() {
  if (std::exchange(persist_scheduled_, true)) return;
  later(world_->between(disk_faults.write_min_us, disk_faults.write_max_us), [this] {
    persist_scheduled_ = false;
    // Group commit: what was queued up to now, or a part of it.
    report_persisted(log_.persist(1 + world_->below(log_.queued() + 1)));
    if (!log_.idle()) schedule_persist();
  });
}

void SimNode::report_persisted(uint64_t sequence) {
  if (sequence == 0) return;
  enter_later(0, [sequence](node::Node& n) { n.on_persisted(sequence); });
}

void SimNode::load(const raft::LoadRequest& request) {
  later(world_->between(disk_faults.write_min_us, disk_faults.write_max_us), [this, request] {
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
  std::vector<kv::CommandResult> results;
  Status applied = machine_->apply(entries, &results);
  KVS_ASSERT(applied.is_ok());
  // The report and the ends race as those of two threads do; reports stay in order.
  report_due_us_ =
      std::max(report_due_us_, world_->now_us() + world_->below(disk_faults.apply_max_us));
  enter_later(report_due_us_ - world_->now_us(),
              [r = report()](node::Node& n) { n.on_applied(r); });
  for (auto& [offset, proposal] : batch->proposals) {
    complete(std::move(proposal), batch->entries[offset].id, std::move(results[offset]));
  }
}

// The state is replaced durably; the log follows later, and a crash may come in between.
void SimNode::run_install(Install* install) {
  durable_ = std::move(install->data);
  durable_.applied = {install->meta.last.term.value, install->meta.last.index.value,
                      install->meta.configuration.encode()};
  store_->replace(durable_);
  Status reloaded = machine_->reload();
  KVS_ASSERT(reloaded.is_ok());
  ++snapshots_received_;
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
    if (store_->data().applied.index >= durable_.applied.index) durable_ = store_->data();
    raft::LogId durable = mark_of(durable_);
    enter([durable](node::Node& n) { n.on_state_synced(durable); });
  });
}

// ---- transport

Status SimNode::send(raft::NodeId to, node::Lane lane, std::vector<wire::EncodedMessage> messages) {
  return network_->send(this, to, lane, std::move(messages));
}

void SimNode::set_peer(raft::NodeId id, const std::string& address) {
  network_->dial(this, id, address);
}

void SimNode::remove_peer(raft::NodeId id) {
  network_->hang_up(this, id);
}

wire::Hello SimNode::hello() const {
  return node::make_hello(view_.identity, view_.membership);
}

Status SimNode::meet(const wire::Hello& remote, raft::NodeId dialed) {
  Status judged = node::judge_hello(view_.identity, view_.membership, remote,
                                    node::is_provisional(dialed) ? raft::kNoNode : dialed);
  if (node::claims_us(view_.identity, remote)) {
    enter_later(0, [remote](node::Node& n) { n.on_foreign_hello(remote); });
  }
  if (judged) enter_later(0, [remote](node::Node& n) { n.on_hello(remote); });
  return judged;
}

void SimNode::on_message(raft::NodeId from, SharedBytes payload) {
  enter_later(0,
              [from, payload = std::move(payload)](node::Node& n) { n.on_message(from, payload); });
}

void SimNode::on_connected(raft::NodeId peer) {
  enter_later(0, [peer](node::Node& n) { n.on_connected(peer); });
}

void SimNode::on_disconnected(raft::NodeId peer) {
  enter_later(0, [peer](node::Node& n) { n.on_disconnected(peer); });
}

void SimNode::on_writable(raft::NodeId peer, node::Lane lane) {
  enter_later(0, [peer, lane](node::Node& n) { n.on_peer_writable(peer, lane); });
}

void SimNode::on_rejected(const Status& why) {
  enter_later(0, [why](node::Node& n) { n.on_rejected(why); });
}

// ---- snapshots

void SimNode::send(raft::NodeId peer, raft::Term term) {
  later(world_->below(kMs), [this, peer, term] {
    Result<std::unique_ptr<kv::View>> view = store_->open_view();
    KVS_ASSERT(view.is_ok());
    Result<kv::AppliedMark> mark = (*view)->applied();
    Result<raft::Configuration> configuration = raft::Configuration::decode(mark->meta);
    KVS_ASSERT(configuration.is_ok());
    wire::SnapshotHeader header;
    header.term = term.value;
    header.from = id_.value;
    header.cluster = cluster_;
    header.meta = {{{mark->term}, {mark->index}}, std::move(*configuration)};
    std::string bytes;
    Status written = wire::write_snapshot(**view, [&](Bytes chunk) {
      bytes += chunk;
      return Status::ok();
    });
    KVS_ASSERT(written.is_ok());
    network_->stream(this, peer, wire::encode_snapshot_header(header), std::move(bytes),
                     [this, life = life_, peer, last = header.meta.last](Status status) {
                       if (life != life_) return;
                       enter_later(0, [peer, last, ok = status.is_ok()](node::Node& n) {
                         n.on_snapshot_sent(peer, ok, last);
                       });
                     });
  });
}

void SimNode::on_stream(raft::NodeId from, const std::string& header_bytes,
                        const std::string& bytes, std::function<void(Status)> done) {
  Result<wire::SnapshotHeader> header = wire::decode_snapshot_header(header_bytes);
  KVS_ASSERT(header.is_ok() && header->from == from.value);
  if (receiving_) return done(Status(Code::kBusy, "another snapshot is being received"));
  test::MemoryData data;
  wire::SnapshotReader reader([&](std::span<const wire::SnapshotPair> pairs) {
    for (const wire::SnapshotPair& p : pairs) {
      data.spaces[p.space].emplace(std::string(p.key), std::string(p.value));
    }
    return Status::ok();
  });
  Status read = reader.feed(bytes);
  if (read) read = reader.finish();
  if (!read) return done(read);
  receiving_ = true;
  auto staged = std::make_shared<std::unique_ptr<node::StagedSnapshot>>(
      std::make_unique<Staged>(std::move(data)));
  enter_later(0, [this, life = life_, staged, done = std::move(done),
                  header = std::move(*header)](node::Node& n) {
    n.on_snapshot_staged({{header.from}, {header.term}, header.meta}, header.cluster,
                         std::move(*staged), [this, life, done](Status status) {
                           if (life == life_) receiving_ = false;
                           done(std::move(status));
                         });
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
