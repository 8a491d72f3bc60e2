#include "plugin/state_store.hpp"

#include <atomic>
#include <utility>

#include "base/assert.hpp"
#include "plugin/checked_state.hpp"
#include "plugin/sinks.hpp"
#include "plugin/slice.hpp"
#include "plugin/status.hpp"
#include "plugin/storage_options.hpp"

namespace kvstore::plugin {

struct StateHandle {
  const kvs_state_api* table = nullptr;
  kvs_state* state = nullptr;
  // Open views, iterators and restores: all must be gone before close().
  std::atomic<int> children{0};
};

namespace {

using SliceCall = SinkCall<Bytes>;
using FoundCall = SinkCall<uint32_t, bool, Bytes>;

kvs_status deliver_slice(void* ctx, const kvs_slice* s) noexcept {
  return (*static_cast<SliceCall*>(ctx))(to_bytes(*s));
}

kvs_status deliver_found(void* ctx, uint32_t i, uint32_t found, const kvs_slice* value) noexcept {
  Bytes bytes = found != 0 && value != nullptr ? to_bytes(*value) : Bytes();
  return (*static_cast<FoundCall*>(ctx))(i, found != 0, bytes);
}

kvs_applied raw_applied(kvs_log_id at, Bytes meta) {
  kvs_applied applied{};
  applied.struct_size = sizeof applied;
  applied.at = at;
  applied.meta = to_slice(meta);
  return applied;
}

}  // namespace

// ---- Iterator

Iterator::Iterator(StateHandle* state, kvs_iter* iter) : state_(state), iter_(iter) {
  ++state_->children;
}

Iterator::Iterator(Iterator&& other) noexcept
    : state_(other.state_), iter_(std::exchange(other.iter_, nullptr)) {}

Iterator& Iterator::operator=(Iterator&& other) noexcept {
  if (this != &other) {
    close();
    state_ = other.state_;
    iter_ = std::exchange(other.iter_, nullptr);
  }
  return *this;
}

void Iterator::close() {
  if (iter_ == nullptr) return;
  state_->table->iter_close(std::exchange(iter_, nullptr));
  --state_->children;
}

Result<size_t> Iterator::next(std::span<kvs_pair> out, uint64_t bytes_max) {
  KVS_ASSERT(iter_ != nullptr && !out.empty());
  uint32_t count = 0;
  CallError error;
  kvs_status status = state_->table->iter_next(iter_, out.data(), static_cast<uint32_t>(out.size()),
                                               bytes_max, &count, error.raw());
  if (status == KVS_E_END) return size_t{0};
  if (status != KVS_OK) return error.status(status, "state.iter_next");
  return size_t{count};
}

Status Iterator::seek(Bytes key) {
  KVS_ASSERT(iter_ != nullptr);
  kvs_slice raw = to_slice(key);
  CallError error;
  return error.status(state_->table->iter_seek(iter_, &raw, error.raw()), "state.iter_seek");
}

// ---- View

View::View(StateHandle* state, kvs_view* view) : state_(state), view_(view) {
  ++state_->children;
}

View::View(View&& other) noexcept
    : state_(other.state_), view_(std::exchange(other.view_, nullptr)) {}

View& View::operator=(View&& other) noexcept {
  if (this != &other) {
    close();
    state_ = other.state_;
    view_ = std::exchange(other.view_, nullptr);
  }
  return *this;
}

void View::close() {
  if (view_ == nullptr) return;
  state_->table->view_close(std::exchange(view_, nullptr));
  --state_->children;
}

Result<AppliedMark> View::applied() const {
  KVS_ASSERT(view_ != nullptr);
  AppliedMark mark;
  CallError error;
  kvs_status status =
      state_->table->view_applied(view_, &mark.at, append_sink, &mark.meta, error.raw());
  if (status != KVS_OK) return error.status(status, "state.view_applied");
  return mark;
}

Status View::get(uint32_t space, Bytes key, FunctionRef<Status(Bytes)> sink) const {
  KVS_ASSERT(view_ != nullptr);
  kvs_slice raw = to_slice(key);
  SliceCall call{sink, {}};
  CallError error;
  kvs_status status =
      state_->table->view_get(view_, space, &raw, deliver_slice, &call, error.raw());
  return call.result(status, error, "state.view_get");
}

Result<std::string> View::get(uint32_t space, Bytes key) const {
  std::string value;
  Status status = get(space, key, [&](Bytes bytes) {
    value.assign(bytes);
    return Status();
  });
  if (!status) return status;
  return value;
}

Result<Iterator> View::iterate(const IterateOptions& options) const {
  KVS_ASSERT(view_ != nullptr);
  kvs_iter_options raw{};
  raw.struct_size = sizeof raw;
  raw.flags = (options.reverse ? uint32_t{KVS_ITER_REVERSE} : 0) |
              (options.keys_only ? uint32_t{KVS_ITER_KEYS_ONLY} : 0);
  raw.space = options.space;
  raw.lower = to_slice(options.lower);
  raw.upper = to_slice(options.upper);
  kvs_iter* iter = nullptr;
  CallError error;
  kvs_status status = state_->table->iter_open(view_, &raw, &iter, error.raw());
  if (status != KVS_OK) return error.status(status, "state.iter_open");
  return Iterator(state_, iter);
}

// ---- Restore

Restore::Restore(StateHandle* state, kvs_restore* restore) : state_(state), restore_(restore) {
  ++state_->children;
}

Restore::Restore(Restore&& other) noexcept
    : state_(other.state_), restore_(std::exchange(other.restore_, nullptr)) {}

Restore& Restore::operator=(Restore&& other) noexcept {
  if (this != &other) {
    abort();
    state_ = other.state_;
    restore_ = std::exchange(other.restore_, nullptr);
  }
  return *this;
}

Status Restore::put(uint32_t space, std::span<const kvs_pair> pairs) {
  KVS_ASSERT(restore_ != nullptr);
  CallError error;
  return error.status(state_->table->restore_put(restore_, space, pairs.data(),
                                                 static_cast<uint32_t>(pairs.size()), error.raw()),
                      "state.restore_put");
}

Status Restore::commit(kvs_log_id at, Bytes meta) {
  KVS_ASSERT(restore_ != nullptr);
  kvs_applied applied = raw_applied(at, meta);
  CallError error;
  kvs_status status =
      state_->table->restore_commit(std::exchange(restore_, nullptr), &applied, error.raw());
  --state_->children;
  return error.status(status, "state.restore_commit");
}

void Restore::abort() {
  if (restore_ == nullptr) return;
  state_->table->restore_abort(std::exchange(restore_, nullptr));
  --state_->children;
}

// ---- StateStore

StateStore::StateStore() = default;
StateStore::StateStore(StateStore&& other) noexcept = default;
StateStore& StateStore::operator=(StateStore&& other) noexcept {
  if (this != &other) {
    close();
    handle_ = std::move(other.handle_);
  }
  return *this;
}
StateStore::~StateStore() {
  close();
}

Result<StateStore> StateStore::open(const kvs_state_api* table, const kvs_host* host,
                                    const StorageOptions& options, const ProxyOptions& proxy) {
  KVS_ASSERT(table != nullptr && host != nullptr);
  kvs_storage_options raw = raw_storage_options(options);
  CallError error;
  OpenedState opened;
  kvs_status status = open_state(table, host, raw, proxy, &opened, error.raw());
  if (status != KVS_OK) return error.status(status, "state.open");
  StateStore store;
  store.handle_ = std::make_unique<StateHandle>();
  store.handle_->table = opened.table;
  store.handle_->state = opened.state;
  return store;
}

void StateStore::close() {
  if (handle_ == nullptr) return;
  KVS_ASSERT(handle_->children == 0);
  handle_->table->close(handle_->state);
  handle_.reset();
}

uint64_t StateStore::capabilities() const {
  KVS_ASSERT(is_open());
  return handle_->table->capabilities(handle_->state);
}

Status StateStore::write(uint32_t flags, std::span<const kvs_kv_op> ops, kvs_log_id at,
                         Bytes meta) {
  KVS_ASSERT(is_open());
  kvs_applied applied = raw_applied(at, meta);
  kvs_kv_batch batch{};
  batch.struct_size = sizeof batch;
  batch.flags = flags;
  batch.ops = ops.data();
  batch.op_count = ops.size();
  batch.applied = &applied;
  CallError error;
  return error.status(handle_->table->write(handle_->state, &batch, error.raw()), "state.write");
}

Result<kvs_log_id> StateStore::sync() {
  KVS_ASSERT(is_open());
  kvs_log_id durable{};
  CallError error;
  kvs_status status = handle_->table->sync(handle_->state, &durable, error.raw());
  if (status != KVS_OK) return error.status(status, "state.sync");
  return durable;
}

Status StateStore::get_many(uint32_t space, std::span<const kvs_slice> keys, FoundSink sink) const {
  KVS_ASSERT(is_open());
  FoundCall call{sink, {}};
  CallError error;
  kvs_status status = handle_->table->get_many(handle_->state, space, keys.data(),
                                               static_cast<uint32_t>(keys.size()), deliver_found,
                                               &call, error.raw());
  return call.result(status, error, "state.get_many");
}

Result<View> StateStore::view() const {
  KVS_ASSERT(is_open());
  kvs_view* view = nullptr;
  CallError error;
  kvs_status status = handle_->table->view_open(handle_->state, &view, error.raw());
  if (status != KVS_OK) return error.status(status, "state.view_open");
  return View(handle_.get(), view);
}

Result<Restore> StateStore::restore() {
  KVS_ASSERT(is_open());
  kvs_restore* restore = nullptr;
  CallError error;
  kvs_status status = handle_->table->restore_begin(handle_->state, &restore, error.raw());
  if (status != KVS_OK) return error.status(status, "state.restore_begin");
  return Restore(handle_.get(), restore);
}

Result<std::string> StateStore::stats() const {
  KVS_ASSERT(is_open());
  std::string json;
  kvs_status status = handle_->table->stats(handle_->state, append_sink, &json);
  if (status != KVS_OK) return CallError().status(status, "state.stats");
  return json;
}

const void* StateStore::get_extension(const char* id) const {
  KVS_ASSERT(is_open());
  return handle_->table->get_extension(handle_->state, id);
}

}  // namespace kvstore::plugin
