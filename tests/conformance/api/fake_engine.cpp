#include "fake_engine.hpp"

#include <algorithm>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>

using kvstore::conformance::FakeEngine;
using kvstore::conformance::FakeItems;

struct kvs_blob {
  FakeEngine* engine;
  size_t at = 0;
};

struct kvs_reader {
  FakeEngine* engine;
  FakeItems items;
  uint64_t revision;
  uint64_t reads = 0;

  bool is_too_old();
};

bool kvs_reader::is_too_old() {
  const uint64_t allowed = engine->reads_per_reader();
  return allowed != 0 && ++reads > allowed;
}

namespace kvstore::conformance {
namespace {

constexpr uint64_t kTerm = 7;

kvs_result result_of(const Scripted& answer) {
  kvs_result result{};
  result.struct_size = sizeof result;
  result.status = answer.status;
  result.at = {kTerm, 100};
  result.committed = answer.committed;
  result.message = sdk::slice(answer.message);
  result.json = sdk::slice(answer.json);
  result.leader_name = sdk::slice(answer.leader_name);
  result.leader_api_address = sdk::slice(answer.leader_api_address);
  return result;
}

}  // namespace

// The functions of the table.
struct FakeTable {
  static FakeEngine& engine(void* ctx) {
    auto& e = *static_cast<FakeEngine*>(ctx);
    e.called();
    return e;
  }
  static kvs_status closed(kvs_error* err) {
    return sdk::fail(err, KVS_E_CLOSED, "the engine is drained");
  }

  static kvs_status txn(void* ctx, const kvs_call* c, const kvs_txn* t, kvs_done done, void* user,
                        kvs_error* err) noexcept {
    FakeEngine& e = engine(ctx);
    ++e.txn_calls_;
    if (e.drained_) return closed(err);
    Scripted answer;
    const bool scripted = e.take_script(&answer);
    if (answer.at_once != KVS_OK) return sdk::fail(err, answer.at_once, answer.message);
    {
      std::lock_guard lock(e.mutex_);
      e.last_call_ = *c;
      e.last_request_id_ = sdk::view(c->request_id);
    }
    auto owned = std::make_shared<OwnedTxn>(*t);
    const std::string id(sdk::view(c->request_id));
    e.later({[&e, owned, id, answer, scripted, done, user] {
               static const Scripted kDone;
               kvs_result result = result_of(answer.lost ? kDone : answer);
               std::shared_ptr<FakeTxn> run;
               if (!scripted || answer.by_store || answer.replayed != 0 || answer.lost)
                 run = e.apply(owned->txn, id, &result);
               if (answer.replayed != 0) result.replayed = answer.replayed;
               if (answer.lost) result = result_of(answer);
               done(user, &result);
             },
             [done, user] {
               Scripted cancelled;
               cancelled.status = KVS_E_INDETERMINATE;
               cancelled.committed = KVS_COMMITTED_UNKNOWN;
               const kvs_result result = result_of(cancelled);
               done(user, &result);
             }});
    return KVS_OK;
  }

  static kvs_reader* make_reader(FakeEngine& e) {
    std::lock_guard lock(e.mutex_);
    ++e.open_readers_;
    ++e.readers_opened_;
    return new kvs_reader{&e, e.items_, e.revision_};
  }

  static kvs_status read_open(void* ctx, const kvs_call* c, const kvs_read_options* o,
                              kvs_read_done done, void* user, kvs_reader** now,
                              kvs_error* err) noexcept {
    FakeEngine& e = engine(ctx);
    ++e.read_calls_;
    if (e.drained_) return closed(err);
    Scripted answer;
    e.take_script(&answer);
    if (answer.at_once != KVS_OK) return sdk::fail(err, answer.at_once, answer.message);
    *now = nullptr;
    {
      std::lock_guard lock(e.mutex_);
      e.last_call_ = *c;
      e.last_revision_ = o->revision;
    }
    if (e.readers_ready_ || (e.stale_readers_ready_ && o->consistency == KVS_READ_STALE)) {
      *now = make_reader(e);
      return KVS_OK;
    }
    e.later({[&e, answer, done, user] {
               const kvs_result result = result_of(answer);
               done(user, &result, answer.status == KVS_OK ? make_reader(e) : nullptr);
             },
             [done, user] {
               Scripted cancelled;
               cancelled.status = KVS_E_CANCELLED;
               const kvs_result result = result_of(cancelled);
               done(user, &result, nullptr);
             }});
    return KVS_OK;
  }

  static uint64_t read_revision(kvs_reader* r) noexcept {
    r->engine->called();
    return r->revision;
  }

  static kvs_status get(kvs_reader* r, const kvs_slice* key, kvs_item_sink sink, void* sctx,
                        kvs_error* err) noexcept {
    r->engine->called();
    const auto found = r->items.find(std::string(sdk::view(*key)));
    if (found == r->items.end()) return sdk::fail(err, KVS_E_NOT_FOUND, "no such key");
    const kvs_item item = fake_item(found->first, *found->second, true);
    return sink(sctx, &item);
  }

  static kvs_status scan(kvs_reader* r, const kvs_range* range, uint32_t flags, uint64_t limit,
                         uint64_t bytes_max, kvs_item_sink sink, void* sctx, kvs_slice_sink cursor,
                         kvs_error* err) noexcept {
    r->engine->called();
    if (r->is_too_old()) return sdk::fail(err, KVS_E_CANCELLED, "the read took too long");
    std::vector<const std::pair<const std::string, std::shared_ptr<const FakeItem>>*> found;
    for (const auto& entry : r->items) {
      if (in_range(*range, entry.first)) found.push_back(&entry);
    }
    if ((flags & KVS_OP_REVERSE) != 0) std::reverse(found.begin(), found.end());
    uint64_t count = 0, bytes = 0;
    for (const auto* entry : found) {
      const kvs_item item =
          fake_item(entry->first, *entry->second, (flags & KVS_OP_KEYS_ONLY) == 0);
      bytes += item.key.len + item.value.len;
      if ((limit != 0 && count == limit) || (count != 0 && bytes > bytes_max)) {
        return cursor == nullptr ? KVS_OK : cursor(sctx, &item.key);
      }
      ++count;
      const kvs_status status = sink(sctx, &item);
      if (status != KVS_OK) return status;
    }
    return KVS_OK;
  }

  static kvs_status value_read(kvs_reader* r, const kvs_slice* key, uint64_t offset, uint64_t bytes,
                               kvs_slice_sink sink, void* sctx, kvs_error* err) noexcept {
    r->engine->called();
    if (r->is_too_old()) return sdk::fail(err, KVS_E_CANCELLED, "the read took too long");
    const auto found = r->items.find(std::string(sdk::view(*key)));
    if (found == r->items.end()) return sdk::fail(err, KVS_E_NOT_FOUND, "no such key");
    std::string_view rest = found->second->value;
    rest.remove_prefix(std::min<uint64_t>(offset, rest.size()));
    rest = rest.substr(0, bytes);
    while (!rest.empty()) {  // in pieces of odd sizes, as the parts of a store are
      const kvs_slice piece = sdk::slice(rest.substr(0, 300'001));
      const kvs_status status = sink(sctx, &piece);
      if (status != KVS_OK) return status;
      rest.remove_prefix(piece.len);
    }
    return KVS_OK;
  }

  static void read_close(kvs_reader* r) noexcept {
    r->engine->called();
    --r->engine->open_readers_;
    delete r;
  }

  static kvs_status upload_open(void* ctx, const kvs_call*, uint64_t total, kvs_upload** out,
                                kvs_error*) noexcept {
    FakeEngine& e = engine(ctx);
    ++e.upload_calls_;
    ++e.open_uploads_;
    e.last_upload_total_ = total;
    *out = new kvs_upload{&e, total, {}};
    return KVS_OK;
  }

  static kvs_status upload_write(kvs_upload* u, const kvs_slice* chunk, kvs_done done, void* user,
                                 kvs_error* err) noexcept {
    FakeEngine& e = *u->engine;
    e.called();
    Scripted answer;
    e.take_script(&answer);
    if (answer.at_once != KVS_OK) return sdk::fail(err, answer.at_once, answer.message);
    if (chunk->len == 0 || chunk->len > kFakePartBytes) e.violation("a chunk's size");
    if (u->writing) e.violation("a chunk before the last one was done");
    if (u->short_chunk_seen) e.violation("a chunk after a short one");
    u->short_chunk_seen = chunk->len < kFakePartBytes;
    u->writing = true;
    u->bytes.append(sdk::view(*chunk));
    e.upload_bytes_ += chunk->len;
    if (u->total != 0 && u->bytes.size() > u->total) e.violation("more than was announced");
    const auto end = [u, done, user](const Scripted& a) {
      u->writing = false;
      const kvs_result result = result_of(a);
      done(user, &result);
    };
    e.later({[&e, end, answer] {
               std::function<void()> on_part;
               {
                 std::lock_guard lock(e.mutex_);
                 on_part = e.on_part_;
               }
               if (on_part) on_part();
               end(answer);
             },
             [end] {
               Scripted cancelled;
               cancelled.status = KVS_E_CANCELLED;
               end(cancelled);
             }});
    return KVS_OK;
  }

  static void upload_close(kvs_upload* u) noexcept {
    u->engine->called();
    if (u->writing) u->engine->violation("an upload closed while it is written");
    --u->engine->open_uploads_;
    delete u;
  }

  static kvs_status watch_open(void* ctx, const kvs_call* c, const kvs_watch_options* o,
                               kvs_watch_fn fn, void* user, kvs_watch** out,
                               kvs_error* err) noexcept {
    FakeEngine& e = engine(ctx);
    if (e.drained_) return closed(err);
    return e.watches.watch_open(*c, *o, fn, user, out, err);
  }
  static void watch_credit(kvs_watch* w, uint32_t batches) noexcept {
    FakeWatches::watch_credit(w, batches);
  }
  static void watch_close(kvs_watch* w) noexcept { FakeWatches::watch_close(w); }

  static kvs_status control(void* ctx, const kvs_call* c, const char* verb, const kvs_slice* json,
                            kvs_done done, void* user, kvs_error* err) noexcept {
    FakeEngine& e = engine(ctx);
    if (e.drained_) return closed(err);
    Scripted answer;
    answer.status = KVS_E_UNSUPPORTED;
    {
      std::lock_guard lock(e.mutex_);
      e.control_calls_.push_back({verb, std::string(sdk::view(*json))});
      // The plugin asks for the node's name by itself.
      if (std::string_view(verb) != "cluster.status") e.last_call_ = *c;
      const auto found = e.controls_.find(verb);
      if (found != e.controls_.end()) answer = found->second;
    }
    if (answer.at_once != KVS_OK) return sdk::fail(err, answer.at_once, answer.message);
    e.later({[answer, done, user] {
               const kvs_result result = result_of(answer);
               done(user, &result);
             },
             [done, user] {
               Scripted cancelled;
               cancelled.status = KVS_E_CANCELLED;
               const kvs_result result = result_of(cancelled);
               done(user, &result);
             },
             answer.at_any_time});
    return KVS_OK;
  }

  static kvs_status blob_open(void* ctx, const kvs_call*, const char* what, kvs_blob** out,
                              kvs_error* err) noexcept {
    FakeEngine& e = engine(ctx);
    if (e.drained_) return closed(err);
    if (std::string_view(what) != "snapshot") e.violation("a blob of another name");
    const kvs_status refusal = e.snapshot_refusal_.exchange(KVS_OK);
    if (refusal != KVS_OK) return sdk::fail(err, refusal, "no snapshot now");
    ++e.open_blobs_;
    *out = new kvs_blob{&e};
    return KVS_OK;
  }
  static kvs_status blob_read(kvs_blob* b, uint64_t bytes_max, kvs_slice_sink sink, void* sctx,
                              kvs_error* err) noexcept {
    FakeEngine& e = *b->engine;
    e.called();
    std::string piece;
    kvs_status end = KVS_OK;
    {
      std::lock_guard lock(e.mutex_);
      if (b->at == e.snapshot_.size()) end = e.snapshot_end_;
      piece = e.snapshot_.substr(b->at, std::min(bytes_max, e.snapshot_piece_));
    }
    if (end != KVS_OK) return sdk::fail(err, end, "the snapshot ends");
    b->at += piece.size();
    const kvs_slice slice = sdk::slice(piece);
    return sink(sctx, &slice);
  }
  static void blob_close(kvs_blob* b) noexcept {
    b->engine->called();
    --b->engine->open_blobs_;
    delete b;
  }

  static kvs_status metrics(void* ctx, kvs_slice_sink text, void* sctx) noexcept {
    engine(ctx);
    for (const std::string_view line : {"# TYPE fake_total counter\n", "fake_total 1\n"}) {
      const kvs_slice slice = sdk::slice(line);
      const kvs_status status = text(sctx, &slice);
      if (status != KVS_OK) return status;
    }
    return KVS_OK;
  }
  static const void* get_extension(void*, const char*) noexcept { return nullptr; }
};

FakeEngine::FakeEngine() {
  using T = FakeTable;
  table_ = {sizeof table_,
            0,
            this,
            T::txn,
            T::read_open,
            T::read_revision,
            T::get,
            T::scan,
            T::value_read,
            T::read_close,
            T::upload_open,
            T::upload_write,
            T::upload_close,
            T::watch_open,
            T::watch_credit,
            T::watch_close,
            T::control,
            T::blob_open,
            T::blob_read,
            T::blob_close,
            T::metrics,
            T::get_extension};
  Scripted status;
  status.json = R"({"node":{"node_id":"node-x"},"term":7})";
  controls_["cluster.status"] = status;
  thread_ = std::thread([this] { run(); });
}

FakeEngine::~FakeEngine() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void FakeEngine::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    auto found = queue_.end();
    wake_.wait(lock, [&] {
      found = std::find_if(queue_.begin(), queue_.end(),
                           [&](const Waiting& w) { return !held_ || w.at_any_time; });
      return stop_ || found != queue_.end();
    });
    if (stop_) return;
    Waiting next = std::move(*found);
    queue_.erase(found);
    lock.unlock();
    next.complete();
    next = {};
    lock.lock();
  }
}

void FakeEngine::later(Waiting waiting) {
  std::lock_guard lock(mutex_);
  if (drained_) {  // accepted a moment before the drain
    waiting.complete = waiting.cancel;
    held_ = false;
  }
  queue_.push_back(std::move(waiting));
  wake_.notify_all();
}

void FakeEngine::hold() {
  std::lock_guard lock(mutex_);
  held_ = true;
}

void FakeEngine::release() {
  std::lock_guard lock(mutex_);
  held_ = false;
  wake_.notify_all();
}

void FakeEngine::drain() {
  std::deque<Waiting> waiting;
  {
    std::lock_guard lock(mutex_);
    drained_ = true;
    waiting.swap(queue_);
  }
  for (Waiting& w : waiting) w.cancel();
  watches.cancel_all();
}

size_t FakeEngine::held() const {
  std::lock_guard lock(mutex_);
  return queue_.size();
}

void FakeEngine::script(Scripted answer) {
  std::lock_guard lock(mutex_);
  scripts_.push_back(std::move(answer));
}

bool FakeEngine::take_script(Scripted* answer) {
  std::lock_guard lock(mutex_);
  if (scripts_.empty()) return false;
  *answer = std::move(scripts_.front());
  scripts_.pop_front();
  return true;
}

void FakeEngine::set_control(const std::string& verb, Scripted answer) {
  std::lock_guard lock(mutex_);
  controls_[verb] = std::move(answer);
}

void FakeEngine::set_on_part(std::function<void()> fn) {
  std::lock_guard lock(mutex_);
  on_part_ = std::move(fn);
}

void FakeEngine::put(const std::string& key, std::string value) {
  std::lock_guard lock(mutex_);
  ++revision_;
  auto item = std::make_shared<FakeItem>();
  item->value = std::move(value);
  item->create_revision = item->mod_revision = revision_;
  item->version = 1;
  items_[key] = std::move(item);
}

bool FakeEngine::has(const std::string& key) const {
  std::lock_guard lock(mutex_);
  return items_.count(key) != 0;
}

std::string FakeEngine::value_of(const std::string& key) const {
  std::lock_guard lock(mutex_);
  const auto found = items_.find(key);
  return found == items_.end() ? std::string() : found->second->value;
}

std::shared_ptr<FakeTxn> FakeEngine::apply(const kvs_txn& txn, const std::string& id,
                                           kvs_result* result) {
  std::lock_guard lock(mutex_);
  const bool remembers = remembers_ && !id.empty();
  const auto before = remembers ? requests_.find(id) : requests_.end();
  if (before != requests_.end()) {
    const bool same = before->second.asked == text_of(txn);
    if (same) *result = before->second.result;
    if (!same) result->status = KVS_E_CONFLICT;
    return before->second.run;
  }
  auto run = std::make_shared<FakeTxn>();
  run->run(txn, &items_, &revision_, result);
  if (remembers) {
    Remembered& kept = requests_[id];
    kept = {text_of(txn), run, *result};
    kept.result.replayed = KVS_REPLAYED;
  }
  return run;
}

std::map<std::string, std::string> FakeEngine::remembered_requests() const {
  std::lock_guard lock(mutex_);
  std::map<std::string, std::string> out;
  for (const auto& [id, request] : requests_) out[id] = request.asked;
  return out;
}

std::vector<FakeEngine::ControlCall> FakeEngine::control_calls() const {
  std::lock_guard lock(mutex_);
  return control_calls_;
}

kvs_call FakeEngine::last_call() const {
  std::lock_guard lock(mutex_);
  return last_call_;
}

void FakeEngine::called() {
  if (forbidden_) violation("a call after stop()");
}

void FakeEngine::violation(const std::string& what) {
  std::lock_guard lock(mutex_);
  violations_.append(what).append("; ");
}

std::string FakeEngine::violations() const {
  std::lock_guard lock(mutex_);
  return violations_;
}

}  // namespace kvstore::conformance
