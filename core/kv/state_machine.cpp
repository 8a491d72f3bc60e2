#include "kv/state_machine.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/mutation.hpp"
#include "kv/batch.hpp"
#include "kv/command_codec.hpp"
#include "kv/compactor.hpp"
#include "kv/lease_ender.hpp"
#include "kv/leases.hpp"
#include "kv/requests.hpp"
#include "kv/txn_executor.hpp"
#include "kv/uploads.hpp"

namespace kvstore::kv {
namespace {

// The machine record of the view.  Without one there can be no user key.
Result<MachineRecord> load_machine(View& view) {
  Result<MachineRecord> record = MachineRecord();
  Status s =
      view.get(kSpaceSystem, kMachineKey, [&](Bytes bytes) { record = decode_machine(bytes); });
  if (s.is_ok()) return record;
  if (s.code() != Code::kNotFound) return s;
  bool empty = true;
  ScanOptions options;
  options.space = kSpaceUser;
  options.keys_only = true;
  s = view.scan(options, [&](Bytes, Bytes) { return empty = false; });
  if (!s) return s;
  if (!empty) return Status(Code::kCorrupt, "the store has keys but no record of its revision");
  return record;
}

}  // namespace

struct StateMachine::Impl {
  Impl(Store* opened, const RequestLimits& limits)
      : store(opened),
        batch(opened),
        txns(&batch, &uploads, &leases),
        compactor(&batch, &uploads),
        lease_ender(&batch, &leases, &txns),
        requests(opened, limits) {}

  Status load();
  Status apply(std::span<const LogEntry> entries, std::vector<CommandResult>* results);

  Status check_order(std::span<const LogEntry> entries) const;
  Status decode(std::span<const LogEntry> entries);
  Status plan();
  Status look_up_parts();
  Status run_txn(const Txn& txn, size_t first_slot, CommandResult* result);
  Status apply_command(size_t i, uint64_t index, CommandResult* result);
  Status apply_all(std::span<const LogEntry> entries, std::vector<CommandResult>* results);

  // One entry that is a command, decoded.
  struct Planned {
    DecodedCommand decoded;
    size_t first_slot = 0;  // of a transaction, in `slots`
    bool is_command = false;
  };

  Store* store;
  Batch batch;
  Uploads uploads;
  Leases leases;
  TxnExecutor txns;
  Compactor compactor;
  LeaseEnder lease_ender;
  Requests requests;
  std::vector<Planned> planned;
  std::vector<uint32_t> slots;
  std::vector<uint64_t> lookups;
  Status failed;  // what broke an earlier apply(): the memory may not agree with the store
};

Status StateMachine::Impl::load() {
  auto view = store->open_view();
  if (!view) return view.status();
  auto applied = (*view)->applied();
  if (!applied) return applied.status();
  auto machine = load_machine(**view);
  if (!machine) return machine.status();
  if (Status s = uploads.load(**view); !s) return s;
  if (Status s = leases.load(**view); !s) return s;
  if (Status s = requests.load(**view); !s) return s;
  batch.load(*applied, *machine);
  failed = Status();
  return Status();
}

Status StateMachine::Impl::check_order(std::span<const LogEntry> entries) const {
  uint64_t index = batch.completed_index();
  for (const LogEntry& entry : entries) {
    if (entry.index != index + 1)
      return Status(Code::kInternal,
                    fmt::format("apply: entry {} follows entry {}", entry.index, index));
    index = entry.index;
  }
  return Status();
}

Status StateMachine::Impl::decode(std::span<const LogEntry> entries) {
  planned.resize(entries.size());
  for (size_t i = 0; i < entries.size(); i++) {
    planned[i].is_command = entries[i].kind == LogEntry::Kind::kCommand;
    if (!planned[i].is_command) continue;
    auto decoded = decode_command(entries[i].data);
    if (!decoded) {
      Status s = decoded.status();
      return Status(s.code(), fmt::format("entry {}: {}", entries[i].index, s.message()));
    }
    planned[i].decoded = std::move(decoded).value();
  }
  return Status();
}

// Reads everything that the batch's single keys and first parts need, one store call per space.
Status StateMachine::Impl::plan() {
  batch.begin();
  uploads.begin_batch();
  lease_ender.begin_batch();
  requests.begin_batch();
  slots.clear();
  lookups.clear();
  for (Planned& p : planned) {
    if (!p.is_command) continue;
    if (auto* txn = std::get_if<Txn>(&p.decoded.command)) {
      p.first_slot = slots.size();
      TxnExecutor::plan(*txn, &batch, &slots);
      if (txn->request) requests.name(*txn->request);
    } else if (auto* part = std::get_if<UploadPart>(&p.decoded.command)) {
      if (uploads.needs_lookup(*part)) lookups.push_back(part->upload_id);
    }
  }
  if (Status s = batch.fetch(); !s) return s;
  if (Status s = requests.fetch(); !s) return s;
  return look_up_parts();
}

Status StateMachine::Impl::look_up_parts() {
  if (lookups.empty()) return Status();
  std::vector<std::string> keys;
  for (uint64_t id : lookups) keys.push_back(part_key(id, 0));
  std::vector<Bytes> views(keys.begin(), keys.end());
  return store->get_many(kSpaceParts, views, [this](size_t i, bool found, Bytes) {
    uploads.set_in_use(lookups[i], found);
  });
}

Status StateMachine::Impl::run_txn(const Txn& txn, size_t first_slot, CommandResult* result) {
  if (txn.request) {
    auto answered = requests.answer(txn, result);
    if (!answered) return answered.status();
    if (*answered) {
      txns.drop_uploads(txn);
      return Status();
    }
  }
  return txns.run(txn, slots.data() + first_slot, result);
}

Status StateMachine::Impl::apply_command(size_t i, uint64_t index, CommandResult* result) {
  Planned& p = planned[i];
  MachineRecord& machine = batch.machine();
  uint64_t now_ms = std::max(machine.newest_time_ms, p.decoded.leader_time_ms);
  Command& command = p.decoded.command;
  auto* txn = std::get_if<Txn>(&command);
  if (txn != nullptr) {
    if (Status s = run_txn(*txn, p.first_slot, result); !s) return s;
  } else if (auto* part = std::get_if<UploadPart>(&command)) {
    Status s = uploads.add_part(part, now_ms, &batch.ops());
    result->code = s.code();
    result->message = s.message();
  } else if (auto* abort = std::get_if<UploadAbort>(&command)) {
    uploads.remove(abort->upload_id, &batch.ops());
  } else if (auto* sweep = std::get_if<SweepUploads>(&command)) {
    uploads.sweep(sweep->idle_before_ms, &batch.ops());
  } else if (auto* compact = std::get_if<Compact>(&command)) {
    if (Status s = compactor.run(*compact, result); !s) return s;
  } else if (auto* grant = std::get_if<LeaseGrant>(&command)) {
    Status s = leases.grant(*grant, index, &batch.ops());
    result->code = s.code();
    result->message = s.message();
  } else if (auto* end = std::get_if<LeaseEnd>(&command)) {
    if (Status s = lease_ender.run(*end, result); !s) return s;
  } else {
    static_assert(std::variant_size_v<Command> == 8);  // Checkpoint: nothing to do
  }
  machine.newest_time_ms = now_ms;
  // At the end: what comes before may have written a flush of its own.
  const bool keep =
      txn != nullptr && txn->request && result->code == Code::kOk && !result->replayed;
  requests.remove_old(now_ms, keep ? 1 : 0, &batch.ops());
  if (keep) requests.keep(*txn, *result, now_ms, &batch.ops());
  return Status();
}

Status StateMachine::Impl::apply_all(std::span<const LogEntry> entries,
                                     std::vector<CommandResult>* results) {
  if (Status s = check_order(entries); !s) return s;
  if (Status s = decode(entries); !s) return s;
  if (Status s = plan(); !s) return s;
  if (KVS_MUTATED(kRevisionPerBatch) && entries.size() > 1) ++batch.machine().revision;
  for (size_t i = 0; i < entries.size(); i++) {
    CommandResult& result = results->emplace_back();
    if (planned[i].is_command) {
      if (Status s = apply_command(i, entries[i].index, &result); !s) return s;
    } else if (entries[i].kind == LogEntry::Kind::kConfiguration) {
      batch.set_configuration(entries[i].data);
    }
    if (!result.replayed) result.revision = batch.machine().revision;
    batch.complete(entries[i].term, entries[i].index);
    if (batch.pending_bytes() < kPendingBytesMax) continue;
    if (Status s = batch.flush(); !s) return s;
  }
  return batch.finish();
}

Status StateMachine::Impl::apply(std::span<const LogEntry> entries,
                                 std::vector<CommandResult>* results) {
  results->clear();
  if (!failed.is_ok()) return failed;
  if (entries.empty()) return Status();
  results->reserve(entries.size());
  failed = apply_all(entries, results);
  batch.begin();
  planned.clear();
  return failed;
}

StateMachine::StateMachine(Store* store, const RequestLimits& requests)
    : impl_(std::make_unique<Impl>(store, requests)) {}

StateMachine::~StateMachine() = default;

Result<std::unique_ptr<StateMachine>> StateMachine::open(Store* store,
                                                         const RequestLimits& requests) {
  std::unique_ptr<StateMachine> machine(new StateMachine(store, requests));
  if (Status s = machine->reload(); !s) return s;
  return machine;
}

Status StateMachine::reload() {
  if (Status s = impl_->load(); !s) return impl_->failed = s;
  publish();
  return Status();
}

Status StateMachine::apply(std::span<const LogEntry> entries, std::vector<CommandResult>* results) {
  if (Status s = impl_->apply(entries, results); !s) return s;
  publish();
  return Status();
}

LeaseChanges StateMachine::take_lease_changes() {
  return impl_->leases.take_changes();
}

void StateMachine::publish() {
  const MachineRecord& machine = impl_->batch.machine();
  newest_time_ms_.store(machine.newest_time_ms, std::memory_order_release);
  compacted_revision_.store(machine.compacted_revision, std::memory_order_release);
  oldest_change_.store(machine.oldest_change, std::memory_order_release);
  history_bytes_.store(machine.history_bytes, std::memory_order_release);
  open_uploads_.store(impl_->uploads.count(), std::memory_order_release);
  oldest_upload_ms_.store(impl_->uploads.oldest_ms(), std::memory_order_release);
  request_records_.store(impl_->requests.count(), std::memory_order_release);
  revision_.store(machine.revision, std::memory_order_release);
  applied_index_.store(impl_->batch.completed_index(), std::memory_order_release);
}

}  // namespace kvstore::kv
