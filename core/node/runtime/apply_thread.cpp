#include "node/runtime/apply_thread.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.hpp"
#include "kv/command_codec.hpp"

namespace kvstore::node::runtime {
namespace {

// One state write covers at most so much, so that completions of a long backlog are not held back.
constexpr size_t kGroupEntriesMax = 1024;
constexpr size_t kGroupBytesMax = 4 << 20;

size_t bytes_of(const ApplyBatch& batch) {
  size_t bytes = 0;
  for (const raft::Entry& e : batch.entries) bytes += e.data.size();
  return bytes;
}

kv::LogEntry to_kv(const raft::Entry& e) {
  static_assert(int(raft::EntryKind::kNoop) == int(kv::LogEntry::Kind::kNoop) &&
                int(raft::EntryKind::kCommand) == int(kv::LogEntry::Kind::kCommand) &&
                int(raft::EntryKind::kConfiguration) == int(kv::LogEntry::Kind::kConfiguration));
  return {e.id.term.value, e.id.index.value, static_cast<kv::LogEntry::Kind>(e.kind),
          e.data.view()};
}

void complete(ProposalPtr proposal, raft::LogId id, kv::CommandResult result) {
  ProposalOutcome outcome;
  outcome.code = result.code;
  outcome.message = result.message;
  outcome.committed = result.code == Code::kOk ? Committed::kYes : Committed::kNo;
  outcome.at = id;
  outcome.result = std::move(result);
  proposal->done(std::move(outcome));
}

void abandon(ApplyBatch* batch) {
  for (auto& [offset, proposal] : batch->proposals) {
    if (!proposal) continue;
    proposal->fail(Code::kIndeterminate, "the node stopped; the write may still take effect",
                   Committed::kUnknown);
  }
}

}  // namespace

void ApplyThread::start() {
  worker_.start("kvs-apply", [this](std::vector<Task>* tasks) { run(tasks); });
  syncer_.start("kvs-sync", [this](std::vector<Sync>*) {
    Result<kvs_log_id> durable = store_->sync();
    if (!durable) {
      callbacks_.fatal(durable.status());
      return;
    }
    callbacks_.synced({{durable->term}, {durable->index}});
  });
}

void ApplyThread::stop() {
  worker_.stop();
  syncer_.stop();
}

void ApplyThread::apply(ApplyBatch batch) {
  worker_.push(std::move(batch));
}
void ApplyThread::sync() {
  syncer_.push(Sync{});
}
void ApplyThread::read_lease_keys(uint64_t lease, uint64_t limit,
                                  std::function<void(Result<kv::LeaseKeys>)> done) {
  worker_.push(LeaseKeysRead{lease, limit, std::move(done)});
}
void ApplyThread::install(std::shared_ptr<plugin::Restore> restore, raft::SnapshotMeta meta,
                          std::function<void(const AppliedReport&)> done) {
  worker_.push(Install{std::move(restore), std::move(meta), std::move(done)});
}

void ApplyThread::run(std::vector<Task>* tasks) {
  std::vector<ApplyBatch*> group;
  size_t group_entries = 0;
  size_t group_bytes = 0;
  Status status;
  auto flush = [&] {
    if (!status.is_ok() || failed_) {
      for (ApplyBatch* batch : group) abandon(batch);
    } else if (!group.empty()) {
      status = apply_group(group);
    }
    group.clear();
    group_entries = group_bytes = 0;
  };
  for (Task& task : *tasks) {
    if (auto* batch = std::get_if<ApplyBatch>(&task)) {
      group.push_back(batch);
      group_entries += batch->entries.size();
      group_bytes += bytes_of(*batch);
      if (group_entries >= kGroupEntriesMax || group_bytes >= kGroupBytesMax) flush();
      continue;
    }
    flush();
    if (!status || failed_) continue;
    auto* install = std::get_if<Install>(&task);
    status = install != nullptr ? run_install(install) : run_read(std::get<LeaseKeysRead>(task));
  }
  flush();
  if (!status && !failed_) {
    failed_ = true;
    callbacks_.fatal(status);
  }
}

Status ApplyThread::apply_group(std::span<ApplyBatch*> group) {
  entries_.clear();
  for (const ApplyBatch* batch : group) {
    for (const raft::Entry& e : batch->entries) entries_.push_back(to_kv(e));
  }
  if (Status s = apply_entries(); !s) {
    for (ApplyBatch* batch : group) abandon(batch);
    return s;
  }
  KVS_ASSERT(results_.size() == entries_.size());
  // First the report: whoever hears of a write finds it applied when it reads.
  callbacks_.applied(report());
  callbacks_.advanced(machine_->revision());
  size_t start = 0;
  for (ApplyBatch* batch : group) {
    for (auto& [offset, proposal] : batch->proposals) {
      complete(std::move(proposal), batch->entries[offset].id, std::move(results_[start + offset]));
    }
    start += batch->entries.size();
  }
  return Status::ok();
}

// In one state write, but that one ends at a checkpoint, where a view is taken.
Status ApplyThread::apply_entries() {
  results_.clear();
  std::span<const kv::LogEntry> rest = entries_;
  while (!rest.empty()) {
    auto checkpoint = std::find_if(rest.begin(), rest.end(), [](const kv::LogEntry& e) {
      return e.kind == kv::LogEntry::Kind::kCommand && kv::is_checkpoint(e.data);
    });
    const bool found = checkpoint != rest.end();
    const auto count = static_cast<size_t>(checkpoint - rest.begin()) + (found ? 1 : 0);
    if (Status s = machine_->apply(rest.first(count), &part_results_); !s) return s;
    std::move(part_results_.begin(), part_results_.end(), std::back_inserter(results_));
    rest = rest.subspan(count);
    if (!found) continue;
    Result<std::unique_ptr<kv::View>> view = adapter_->open_view();
    if (view) {
      callbacks_.checkpoint(std::move(*view));
    } else if (condemns_state(view.status().code())) {
      return view.status();
    } else {
      KVS_LOG(kWarn, "state", "a checkpoint is not hashed: {}", view.status().to_string());
    }
  }
  return Status::ok();
}

Status ApplyThread::run_install(Install* install) {
  kvs_log_id at{install->meta.last.term.value, install->meta.last.index.value};
  if (Status s = install->restore->commit(at, install->meta.configuration.encode()); !s) return s;
  if (Status s = machine_->reload(); !s) return s;
  install->done(report());
  callbacks_.advanced(machine_->revision());
  return Status::ok();
}

Status ApplyThread::run_read(const LeaseKeysRead& read) {
  Result<std::unique_ptr<kv::View>> view = adapter_->open_view();
  Result<kv::LeaseKeys> keys = view ? kv::read_lease_keys(**view, read.lease, read.limit)
                                    : Result<kv::LeaseKeys>(view.status());
  const Status status = keys.status();
  read.done(std::move(keys));
  return condemns_state(status.code()) ? status : Status::ok();
}

AppliedReport ApplyThread::report() {
  AppliedReport r;
  r.index = {machine_->applied_index()};
  r.revision = machine_->revision();
  r.newest_time_ms = machine_->newest_time_ms();
  r.open_uploads = machine_->open_uploads();
  r.oldest_upload_ms = machine_->oldest_upload_ms();
  r.compacted_revision = machine_->compacted_revision();
  r.oldest_change = machine_->oldest_change();
  r.history_bytes = machine_->history_bytes();
  r.bytes = adapter_->take_written_bytes();
  r.leases = machine_->take_lease_changes();
  return r;
}

}  // namespace kvstore::node::runtime
