// The API proxy's side that the plugin calls: the engine.
#include <memory>
#include <string>
#include <vector>

#include "plugin/checked_api_parts.hpp"

namespace kvstore::plugin::checked_api {
namespace {

constexpr size_t kRequestIdBytesMax = 128;

CheckedApi& api_of(void* ctx) {
  return *static_cast<CheckedApi*>(ctx);
}
const kvs_engine& host_of(const CheckedApi& api) {
  return *api.host_engine;
}

std::string call_form(const CheckedApi& api, const kvs_call* c) {
  if (!api.running) return "called before start() or after stop()";
  if (c == nullptr || c->struct_size < sizeof *c) return "without a complete kvs_call";
  for (const kvs_slice* s : {&c->request_id, &c->principal, &c->credential, &c->remote_address}) {
    if (!valid_slice(s)) return "with a kvs_call that has a NULL slice";
  }
  return c->request_id.len > kRequestIdBytesMax ? "with a request_id above 128 bytes" : "";
}

std::string range_form(const kvs_range& r) {
  return valid_slice(&r.key) && valid_slice(&r.end) ? "" : "with a range that has a NULL slice";
}

// ---- completions

// Takes a completed call out of the pending ones.  Exactly once and never inside the submission.
std::unique_ptr<Pending> take_completed(void* user, const kvs_result* r) {
  KVS_ASSERT(user != t_submitting && r != nullptr);
  KVS_ASSERT(pending_calls().remove(user));
  std::unique_ptr<Pending> call(static_cast<Pending*>(user));
  --call->api->pending;
  return call;
}

// Forgets a call that will not complete.
void take_back(Pending* call) {
  KVS_ASSERT(pending_calls().remove(call));
  --call->api->pending;
  delete call;
}

void complete(void* user, const kvs_result* r) noexcept {
  std::unique_ptr<Pending> call = take_completed(user, r);
  call->done(call->user, r);
}

// Runs fn(pending) and gives the pending call up when it was not accepted.
template <typename Fn>
kvs_status submit(CheckedApi& api, Pending made, Fn fn) {
  Pending* call = pending_calls().add(new Pending(made));
  ++api.pending;
  const Pending* outer = t_submitting;
  t_submitting = call;
  kvs_status status = fn(call);
  t_submitting = outer;
  KVS_ASSERT(known_status(status));
  if (status != KVS_OK) take_back(call);
  return status;
}

// ---- transactions

std::string ops_form(const CheckedApi& api, const kvs_op* ops, uint32_t count) {
  if (count > 0 && ops == nullptr) return "with operations that are NULL";
  for (uint32_t i = 0; i < count; ++i) {
    if (std::string wrong = range_form(ops[i].range); !wrong.empty()) return wrong;
    if (!valid_slice(&ops[i].value)) return "with a value that is NULL";
    if (ops[i].upload != nullptr && !api.uploads.has(ops[i].upload)) {
      return "with an upload that is not open";
    }
  }
  return "";
}

std::string txn_form(const CheckedApi& api, const kvs_txn* t) {
  if (t == nullptr || t->struct_size < sizeof *t) return "without a complete kvs_txn";
  if (t->compare_count > 0 && t->compares == nullptr) return "with compares that are NULL";
  for (uint32_t i = 0; i < t->compare_count; ++i) {
    if (std::string wrong = range_form(t->compares[i].range); !wrong.empty()) return wrong;
    if (!valid_slice(&t->compares[i].value)) return "with a compare whose value is NULL";
  }
  std::string wrong = ops_form(api, t->then_ops, t->then_count);
  return wrong.empty() ? ops_form(api, t->else_ops, t->else_count) : wrong;
}

// The operations with the host's uploads in place of ours.
std::vector<kvs_op> host_ops(const kvs_op* ops, uint32_t count) {
  std::vector<kvs_op> copy(ops, ops + count);
  for (kvs_op& op : copy) {
    if (op.upload != nullptr) op.upload = reinterpret_cast<Upload*>(op.upload)->inner;
  }
  return copy;
}

kvs_status txn(void* ctx, const kvs_call* c, const kvs_txn* t, kvs_done done, void* user,
               kvs_error* err) noexcept {
  CheckedApi& api = api_of(ctx);
  std::string wrong = call_form(api, c);
  if (wrong.empty()) wrong = txn_form(api, t);
  if (wrong.empty() && done == nullptr) wrong = "without a completion";
  if (!wrong.empty()) return api.misuse(err, "engine.txn", wrong);
  std::vector<kvs_op> then_ops = host_ops(t->then_ops, t->then_count);
  std::vector<kvs_op> else_ops = host_ops(t->else_ops, t->else_count);
  kvs_txn ours = *t;
  ours.then_ops = then_ops.data();
  ours.else_ops = else_ops.data();
  return submit(api, {&api, user, done, nullptr}, [&](Pending* call) {
    return host_of(api).txn(host_of(api).ctx, c, &ours, complete, call, err);
  });
}

// ---- readers

kvs_reader* wrap_reader(CheckedApi& api, kvs_reader* inner) {
  auto* reader = new Reader{&api, inner, {}};
  return reinterpret_cast<kvs_reader*>(api.readers.add(reader));
}

void complete_read(void* user, const kvs_result* r, kvs_reader* rd) noexcept {
  std::unique_ptr<Pending> call = take_completed(user, r);
  KVS_ASSERT((r->status == KVS_OK) == (rd != nullptr));
  call->read_done(call->user, r, rd == nullptr ? nullptr : wrap_reader(*call->api, rd));
}

kvs_status read_open(void* ctx, const kvs_call* c, const kvs_read_options* o, kvs_read_done done,
                     void* user, kvs_reader** now, kvs_error* err) noexcept {
  CheckedApi& api = api_of(ctx);
  std::string wrong = call_form(api, c);
  if (wrong.empty() && (o == nullptr || o->struct_size < sizeof *o)) wrong = "without options";
  if (wrong.empty() && (done == nullptr || now == nullptr))
    wrong = "without a place for the reader";
  if (!wrong.empty()) return api.misuse(err, "engine.read_open", wrong);
  kvs_reader* ready = nullptr;
  *now = nullptr;
  kvs_status status = submit(api, {&api, user, nullptr, done}, [&](Pending* call) {
    kvs_status opened =
        host_of(api).read_open(host_of(api).ctx, c, o, complete_read, call, &ready, err);
    if (opened == KVS_OK && ready != nullptr) take_back(call);
    return opened;
  });
  if (status == KVS_OK && ready != nullptr) *now = wrap_reader(api, ready);
  return status;
}

// The reader behind a handle; no report is possible for one that is not alive, for its API is
// unknown.
Reader& reader_of(kvs_reader* r) {
  return *reinterpret_cast<Reader*>(r);
}

uint64_t read_revision(kvs_reader* r) noexcept {
  Reader& reader = reader_of(r);
  return host_of(*reader.api).read_revision(reader.inner);
}

kvs_status get(kvs_reader* r, const kvs_slice* key, kvs_item_sink sink, void* sctx,
               kvs_error* err) noexcept {
  Reader& reader = reader_of(r);
  if (!valid_slice(key) || sink == nullptr || reader.user.busy()) {
    return reader.api->misuse(err, "engine.get", "with NULL arguments, or on two threads at once");
  }
  Exclusive::Scope exclusive(reader.user);
  return host_of(*reader.api).get(reader.inner, key, sink, sctx, err);
}

kvs_status scan(kvs_reader* r, const kvs_range* range, uint32_t flags, uint64_t limit,
                uint64_t bytes_max, kvs_item_sink sink, void* sctx, kvs_slice_sink cursor,
                kvs_error* err) noexcept {
  Reader& reader = reader_of(r);
  if (range == nullptr || !range_form(*range).empty() || sink == nullptr || reader.user.busy()) {
    return reader.api->misuse(err, "engine.scan", "with NULL arguments, or on two threads at once");
  }
  Exclusive::Scope exclusive(reader.user);
  return host_of(*reader.api)
      .scan(reader.inner, range, flags, limit, bytes_max, sink, sctx, cursor, err);
}

kvs_status value_read(kvs_reader* r, const kvs_slice* key, uint64_t offset, uint64_t bytes,
                      kvs_slice_sink sink, void* sctx, kvs_error* err) noexcept {
  Reader& reader = reader_of(r);
  if (!valid_slice(key) || sink == nullptr || reader.user.busy()) {
    return reader.api->misuse(err, "engine.value_read",
                              "with NULL arguments, or on two threads at once");
  }
  Exclusive::Scope exclusive(reader.user);
  return host_of(*reader.api).value_read(reader.inner, key, offset, bytes, sink, sctx, err);
}

void read_close(kvs_reader* r) noexcept {
  std::unique_ptr<Reader> reader(&reader_of(r));
  (void)reader->api->readers.remove(reader.get());
  host_of(*reader->api).read_close(reader->inner);
}

// ---- uploads

kvs_status upload_open(void* ctx, const kvs_call* c, uint64_t total_bytes, kvs_upload** out,
                       kvs_error* err) noexcept {
  CheckedApi& api = api_of(ctx);
  std::string wrong = call_form(api, c);
  if (wrong.empty() && out == nullptr) wrong = "without a place for the upload";
  if (!wrong.empty()) return api.misuse(err, "engine.upload_open", wrong);
  kvs_upload* inner = nullptr;
  kvs_status status = host_of(api).upload_open(host_of(api).ctx, c, total_bytes, &inner, err);
  if (status != KVS_OK) return status;
  KVS_ASSERT(inner != nullptr);
  *out = reinterpret_cast<kvs_upload*>(api.uploads.add(new Upload{&api, inner}));
  return KVS_OK;
}

kvs_status upload_write(kvs_upload* u, const kvs_slice* chunk, kvs_done done, void* user,
                        kvs_error* err) noexcept {
  Upload& upload = *reinterpret_cast<Upload*>(u);
  CheckedApi& api = *upload.api;
  if (!valid_slice(chunk) || done == nullptr || !api.running) {
    return api.misuse(err, "engine.upload_write", "with NULL arguments, or after stop()");
  }
  return submit(api, {&api, user, done, nullptr}, [&](Pending* call) {
    return host_of(api).upload_write(upload.inner, chunk, complete, call, err);
  });
}

void upload_close(kvs_upload* u) noexcept {
  std::unique_ptr<Upload> upload(reinterpret_cast<Upload*>(u));
  (void)upload->api->uploads.remove(upload.get());
  host_of(*upload->api).upload_close(upload->inner);
}

// ---- watches

// The watch whose callback the calling thread is in.
thread_local Watch* t_in_watch = nullptr;

void deliver(void* user, kvs_status status, const kvs_event* e, uint32_t n,
             uint64_t revision) noexcept {
  auto* watch = static_cast<Watch*>(user);
  KVS_ASSERT(!watch->ended && (n == 0 || e != nullptr) && known_status(status));
  if (status == KVS_OK) {
    // Progress costs no credit.
    if (n > 0) KVS_ASSERT(watch->credit.fetch_sub(1) > 0);
  } else {
    KVS_ASSERT(n == 0);
    watch->ended = true;
  }
  bool closed;
  {
    Exclusive::Scope one_at_a_time(watch->in_fn);
    Watch* outer = t_in_watch;
    t_in_watch = watch;
    watch->fn(watch->user, status, e, n, revision);
    t_in_watch = outer;
    closed = watch->closed_inside;
  }
  if (closed) delete watch;
}

kvs_status watch_open(void* ctx, const kvs_call* c, const kvs_watch_options* o, kvs_watch_fn fn,
                      void* user, kvs_watch** out, kvs_error* err) noexcept {
  CheckedApi& api = api_of(ctx);
  std::string wrong = call_form(api, c);
  if (wrong.empty() && (o == nullptr || o->struct_size < sizeof *o)) wrong = "without options";
  if (wrong.empty()) wrong = range_form(o->range);
  if (wrong.empty() && (fn == nullptr || out == nullptr)) wrong = "without a callback or a place";
  if (!wrong.empty()) return api.misuse(err, "engine.watch_open", wrong);
  auto* watch = new Watch;
  watch->api = &api;
  watch->fn = fn;
  watch->user = user;
  watch->credit = o->credit;
  // The callback may run, and the plugin know the handle, before the host's function returns.
  *out = reinterpret_cast<kvs_watch*>(api.watches.add(watch));
  kvs_status status =
      host_of(api).watch_open(host_of(api).ctx, c, o, deliver, watch, &watch->inner, err);
  if (status != KVS_OK) {
    *out = nullptr;
    KVS_ASSERT(api.watches.remove(watch));
    delete watch;
    return status;
  }
  KVS_ASSERT(watch->inner != nullptr);
  return KVS_OK;
}

void watch_credit(kvs_watch* w, uint32_t batches) noexcept {
  auto* watch = reinterpret_cast<Watch*>(w);
  watch->credit += batches;
  host_of(*watch->api).watch_credit(watch->inner, batches);
}

void watch_close(kvs_watch* w) noexcept {
  auto* watch = reinterpret_cast<Watch*>(w);
  if (!watch->api->watches.remove(watch)) return;
  const bool inside = t_in_watch == watch;
  // Only there: another thread may be inside the callback meanwhile.
  if (inside) watch->closed_inside = true;
  host_of(*watch->api).watch_close(watch->inner);
  if (!inside) delete watch;
}

// ---- the rest

kvs_status control(void* ctx, const kvs_call* c, const char* verb, const kvs_slice* json,
                   kvs_done done, void* user, kvs_error* err) noexcept {
  CheckedApi& api = api_of(ctx);
  std::string wrong = call_form(api, c);
  if (wrong.empty() && (verb == nullptr || !valid_slice(json))) wrong = "without verb or document";
  if (wrong.empty() && done == nullptr) wrong = "without a completion";
  if (!wrong.empty()) return api.misuse(err, "engine.control", wrong);
  return submit(api, {&api, user, done, nullptr}, [&](Pending* call) {
    return host_of(api).control(host_of(api).ctx, c, verb, json, complete, call, err);
  });
}

kvs_status blob_open(void* ctx, const kvs_call* c, const char* what, kvs_blob** out,
                     kvs_error* err) noexcept {
  CheckedApi& api = api_of(ctx);
  std::string wrong = call_form(api, c);
  if (wrong.empty() && (what == nullptr || out == nullptr)) wrong = "with NULL arguments";
  if (!wrong.empty()) return api.misuse(err, "engine.blob_open", wrong);
  kvs_blob* inner = nullptr;
  kvs_status status = host_of(api).blob_open(host_of(api).ctx, c, what, &inner, err);
  if (status != KVS_OK) return status;
  KVS_ASSERT(inner != nullptr);
  *out = reinterpret_cast<kvs_blob*>(api.blobs.add(new Blob{&api, inner, {}}));
  return KVS_OK;
}

kvs_status blob_read(kvs_blob* b, uint64_t bytes_max, kvs_slice_sink sink, void* sctx,
                     kvs_error* err) noexcept {
  Blob& blob = *reinterpret_cast<Blob*>(b);
  if (sink == nullptr || blob.user.busy()) {
    return blob.api->misuse(err, "engine.blob_read", "without a sink, or on two threads at once");
  }
  Exclusive::Scope exclusive(blob.user);
  return host_of(*blob.api).blob_read(blob.inner, bytes_max, sink, sctx, err);
}

void blob_close(kvs_blob* b) noexcept {
  std::unique_ptr<Blob> blob(reinterpret_cast<Blob*>(b));
  (void)blob->api->blobs.remove(blob.get());
  host_of(*blob->api).blob_close(blob->inner);
}

kvs_status metrics(void* ctx, kvs_slice_sink text, void* sctx) noexcept {
  CheckedApi& api = api_of(ctx);
  if (text == nullptr || !api.running) {
    return api.misuse(nullptr, "engine.metrics",
                      "without a sink, or before start() or after stop()");
  }
  return host_of(api).metrics(host_of(api).ctx, text, sctx);
}

const void* get_extension(void* ctx, const char* id) noexcept {
  const kvs_engine& host = host_of(api_of(ctx));
  return id == nullptr ? nullptr : host.get_extension(host.ctx, id);
}

}  // namespace

Living<Pending>& pending_calls() {
  static auto* const only = new Living<Pending>;
  return *only;
}

kvs_engine make_engine(CheckedApi* api) {
  kvs_engine e{};
  e.struct_size = sizeof e;
  e.ctx = api;
  e.txn = txn;
  e.read_open = read_open;
  e.read_revision = read_revision;
  e.get = get;
  e.scan = scan;
  e.value_read = value_read;
  e.read_close = read_close;
  e.upload_open = upload_open;
  e.upload_write = upload_write;
  e.upload_close = upload_close;
  e.watch_open = watch_open;
  e.watch_credit = watch_credit;
  e.watch_close = watch_close;
  e.control = control;
  e.blob_open = blob_open;
  e.blob_read = blob_read;
  e.blob_close = blob_close;
  e.metrics = metrics;
  e.get_extension = get_extension;
  return e;
}

}  // namespace kvstore::plugin::checked_api
