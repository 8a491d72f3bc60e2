#include "plugin/checked_state.hpp"

#include <memory>
#include <mutex>
#include <string>

#include "plugin/checked_state_parts.hpp"
#include "plugin/probe.hpp"
#include "plugin/slice.hpp"

namespace kvstore::plugin {
namespace checked_state {

// Checks that hold for every call.
kvs_status outcome(const Probe& probe, Call call, kvs_status status, kvs_error* err) {
  if (!probe.checked()) return status;
  if (!known_status(status)) {
    return probe.plugin_bug(
        err, kCallNames[call],
        "returned status " + std::to_string(status) + ", which is not in the ABI");
  }
  if (std::string wrong = error_form(err); !wrong.empty()) {
    return probe.plugin_bug(nullptr, kCallNames[call], wrong);
  }
  if (status == KVS_E_INVALID) {
    return probe.plugin_bug(err, kCallNames[call], "refused a valid request as INVALID");
  }
  return status;
}

std::string id_text(const kvs_log_id& id) {
  return '(' + std::to_string(id.term) + ", " + std::to_string(id.index) + ')';
}

kvs_status ignore_slice(void*, const kvs_slice*) noexcept {
  return KVS_OK;
}

namespace {

// ---- writers

void assert_valid_batch(const kvs_log_id& now, const kvs_kv_batch& b) {
  KVS_ASSERT(b.struct_size >= sizeof b && (b.flags & ~uint32_t{KVS_KV_SYNC}) == 0);
  KVS_ASSERT(b.applied != nullptr && b.applied->struct_size >= sizeof *b.applied);
  KVS_ASSERT(valid_slice(&b.applied->meta));
  KVS_ASSERT(b.applied->at.index >= now.index && b.applied->at.term >= now.term);
  KVS_ASSERT(b.op_count == 0 || b.ops != nullptr);
  for (uint64_t i = 0; i < b.op_count; ++i) {
    const kvs_kv_op& op = b.ops[i];
    KVS_ASSERT(op.kind >= KVS_KV_PUT && op.kind <= KVS_KV_DELETE_RANGE && op.space < kSpaces);
    KVS_ASSERT(valid_slice(&op.key) && valid_slice(&op.value));
  }
}

// Runs one writer and keeps the applied marks: `at` is what an OK means.
template <typename Fn>
kvs_status run_writer(CheckedState& state, Call call, const kvs_log_id& at, kvs_error* err, Fn fn) {
  bool was_known;
  {
    std::lock_guard lock(state.mutex);
    was_known = state.known;
    state.pending = at;
  }
  kvs_status status;
  {
    Probe::Timer timer(state.probe, call);
    status = fn();
  }
  status = outcome(state.probe, call, status, err);
  if (state.probe.checked() && status == KVS_OK && !was_known) {
    status = state.probe.plugin_bug(err, kCallNames[call],
                                    "succeeded after an environment error: the failure must latch");
  }
  std::lock_guard lock(state.mutex);
  if (status == KVS_OK) state.applied = at;
  if (poisons(status)) {
    state.known = false;
  } else {
    state.pending = state.applied;
  }
  return status;
}

kvs_status write(kvs_state* handle, const kvs_kv_batch* b, kvs_error* err) noexcept {
  CheckedState& state = *self(handle);
  Exclusive::Scope exclusive(state.writer);
  KVS_ASSERT(b != nullptr && b->applied != nullptr);
  if (state.probe.checked()) assert_valid_batch(state.applied_now(), *b);
  return run_writer(state, kWrite, b->applied->at, err,
                    [&] { return state.table->write(state.inner, b, err); });
}

kvs_status sync(kvs_state* handle, kvs_log_id* durable, kvs_error* err) noexcept {
  CheckedState& state = *self(handle);
  Exclusive::Scope exclusive(state.syncer);
  KVS_ASSERT(durable != nullptr);
  const kvs_log_id before = state.applied_now();
  kvs_status status;
  {
    Probe::Timer timer(state.probe, kSync);
    status = state.table->sync(state.inner, durable, err);
  }
  status = outcome(state.probe, kSync, status, err);
  if (status != KVS_OK || !state.probe.checked()) return status;
  if (durable->index < before.index) {
    return state.probe.plugin_bug(err, "sync",
                                  "left " + id_text(before) +
                                      " unsynced, which was written before the call; "
                                      "durable is " +
                                      id_text(*durable));
  }
  if (const kvs_log_id newest = state.newest_possible(); durable->index > newest.index) {
    return state.probe.plugin_bug(
        err, "sync", "reports " + id_text(*durable) + " durable, newest is " + id_text(newest));
  }
  return status;
}

// Stands between the plugin's get_many and the host's sink.
struct FoundCheck {
  kvs_found_sink sink;
  void* ctx;
  uint32_t due = 0;
  uint32_t count;
  kvs_status stopped = KVS_OK;
  std::string wrong;
};

kvs_status check_found(void* ctx, uint32_t i, uint32_t found, const kvs_slice* value) noexcept {
  FoundCheck& check = *static_cast<FoundCheck*>(ctx);
  if (check.stopped != KVS_OK) {
    check.wrong = "called the sink again after it had stopped the call";
  } else if (i != check.due || i >= check.count) {
    check.wrong =
        "answered key " + std::to_string(i) + " where " + std::to_string(check.due) + " is due";
  } else if (found != 0 && !valid_slice(value)) {
    check.wrong = "found a key without a value";
  }
  if (!check.wrong.empty()) return KVS_E_INTERNAL;
  ++check.due;
  check.stopped = check.sink(check.ctx, i, found, value);
  return check.stopped;
}

kvs_status get_many(kvs_state* handle, uint32_t space, const kvs_slice* keys, uint32_t n,
                    kvs_found_sink sink, void* ctx, kvs_error* err) noexcept {
  CheckedState& state = *self(handle);
  KVS_ASSERT(space < kSpaces && (n == 0 || keys != nullptr) && sink != nullptr);
  FoundCheck check{sink, ctx, 0, n, KVS_OK, ""};
  kvs_status status;
  {
    Probe::Timer timer(state.probe, kGetMany);
    status = state.table->get_many(state.inner, space, keys, n,
                                   state.probe.checked() ? check_found : sink,
                                   state.probe.checked() ? &check : ctx, err);
  }
  if (!state.probe.checked()) return status;
  if (check.wrong.empty() && check.stopped != KVS_OK) {
    if (status == check.stopped) return status;
    check.wrong = "did not return the status with which the sink stopped";
  }
  if (check.wrong.empty()) status = outcome(state.probe, kGetMany, status, err);
  if (check.wrong.empty() && status == KVS_OK && check.due != n) {
    check.wrong = "answered " + std::to_string(check.due) + " of " + std::to_string(n) + " keys";
  }
  return check.wrong.empty() ? status : state.probe.plugin_bug(err, "get_many", check.wrong);
}

// ---- restore

kvs_status restore_begin(kvs_state* handle, kvs_restore** out, kvs_error* err) noexcept {
  CheckedState& state = *self(handle);
  KVS_ASSERT(out != nullptr);
  auto restore = std::make_unique<CheckedRestore>();
  restore->state = &state;
  restore->inner = nullptr;
  kvs_status status;
  {
    Probe::Timer timer(state.probe, kRestoreBegin);
    status = state.table->restore_begin(state.inner, &restore->inner, err);
  }
  status = outcome(state.probe, kRestoreBegin, status, err);
  if (status != KVS_OK) return status;
  if (restore->inner == nullptr) {
    return state.probe.plugin_bug(err, "restore_begin", "succeeded without a handle");
  }
  ++state.children;
  *out = reinterpret_cast<kvs_restore*>(restore.release());
  return KVS_OK;
}

kvs_status restore_put(kvs_restore* handle, uint32_t space, const kvs_pair* pairs, uint32_t n,
                       kvs_error* err) noexcept {
  CheckedRestore& restore = *self(handle);
  Exclusive::Scope exclusive(restore.user);
  KVS_ASSERT(space < kSpaces && (n == 0 || pairs != nullptr));
  for (uint32_t i = 0; i < n; ++i) {
    KVS_ASSERT(valid_slice(&pairs[i].key) && valid_slice(&pairs[i].value));
  }
  const CheckedState& state = *restore.state;
  Probe::Timer timer(state.probe, kRestorePut);
  return outcome(state.probe, kRestorePut,
                 state.table->restore_put(restore.inner, space, pairs, n, err), err);
}

kvs_status restore_commit(kvs_restore* handle, const kvs_applied* applied,
                          kvs_error* err) noexcept {
  std::unique_ptr<CheckedRestore> restore(self(handle));
  CheckedState& state = *restore->state;
  Exclusive::Scope exclusive(state.writer);
  KVS_ASSERT(applied != nullptr && applied->struct_size >= sizeof *applied);
  KVS_ASSERT(valid_slice(&applied->meta) && !restore->user.busy());
  kvs_status status = run_writer(state, kRestoreCommit, applied->at, err, [&] {
    return state.table->restore_commit(restore->inner, applied, err);
  });
  --state.children;
  return status;
}

void restore_abort(kvs_restore* handle) noexcept {
  std::unique_ptr<CheckedRestore> restore(self(handle));
  KVS_ASSERT(!restore->user.busy());
  restore->state->table->restore_abort(restore->inner);
  --restore->state->children;
}

// ---- instance

void close(kvs_state* handle) noexcept {
  std::unique_ptr<CheckedState> state(self(handle));
  KVS_ASSERT(state->children == 0 && !state->writer.busy() && !state->syncer.busy());
  state->table->close(state->inner);
}

uint64_t capabilities(const kvs_state* handle) noexcept {
  const auto* state = reinterpret_cast<const CheckedState*>(handle);
  return state->table->capabilities(state->inner);
}

const void* get_extension(kvs_state* handle, const char* id) noexcept {
  CheckedState& state = *self(handle);
  KVS_ASSERT(id != nullptr);
  return state.table->get_extension(state.inner, id);
}

kvs_status stats(kvs_state* handle, kvs_slice_sink sink, void* ctx) noexcept {
  CheckedState& state = *self(handle);
  KVS_ASSERT(sink != nullptr);
  Probe::Timer timer(state.probe, kStats);
  return outcome(state.probe, kStats, state.table->stats(state.inner, sink, ctx), nullptr);
}

// Instances come from open_state() only: the table's own open cannot know which plugin is meant.
kvs_status refuse_open(const kvs_host*, const kvs_storage_options*, kvs_state**,
                       kvs_error*) noexcept {
  return KVS_E_UNSUPPORTED;
}

constexpr kvs_state_api make_table() {
  kvs_state_api t{};
  t.struct_size = sizeof t;
  t.open = refuse_open;
  t.close = close;
  t.capabilities = capabilities;
  t.get_extension = get_extension;
  t.write = write;
  t.sync = sync;
  t.get_many = get_many;
  t.view_open = view_open;
  t.view_close = view_close;
  t.view_applied = view_applied;
  t.view_get = view_get;
  t.iter_open = iter_open;
  t.iter_next = iter_next;
  t.iter_seek = iter_seek;
  t.iter_close = iter_close;
  t.restore_begin = restore_begin;
  t.restore_put = restore_put;
  t.restore_commit = restore_commit;
  t.restore_abort = restore_abort;
  t.stats = stats;
  return t;
}

constexpr kvs_state_api kTable = make_table();

// Reads the recovered mark, from which every later check starts.
kvs_status check_opened(CheckedState& state, kvs_error* err) {
  if (state.inner == nullptr) {
    return state.probe.plugin_bug(err, "open", "succeeded without a handle");
  }
  kvs_view* view = nullptr;
  kvs_status status = state.table->view_open(state.inner, &view, err);
  if (status == KVS_OK) {
    status = state.table->view_applied(view, &state.applied, ignore_slice, nullptr, err);
    state.table->view_close(view);
  }
  state.pending = state.applied;
  if (status != KVS_OK) state.table->close(state.inner);
  return status;
}

}  // namespace
}  // namespace checked_state

kvs_status open_state(const kvs_state_api* table, const kvs_host* host,
                      const kvs_storage_options& options, const ProxyOptions& proxy,
                      OpenedState* out, kvs_error* err) {
  using namespace checked_state;
  *out = {table, nullptr};
  if (!Probe::wanted(host, proxy)) return table->open(host, &options, &out->state, err);
  auto state = std::make_unique<CheckedState>(table, host, proxy);
  kvs_status status;
  {
    Probe::Timer timer(state->probe, kOpen);
    status = table->open(host, &options, &state->inner, err);
  }
  // A refused config or directory is no broken promise.
  if (status != KVS_E_INVALID) status = outcome(state->probe, kOpen, status, err);
  if (status == KVS_OK) status = check_opened(*state, err);
  if (status != KVS_OK) return status;
  *out = {&kTable, reinterpret_cast<kvs_state*>(state.release())};
  return KVS_OK;
}

}  // namespace kvstore::plugin
