// The C functions of kvstore.state/1: argument checks, the exception guard and the failure latch
// around State and what hangs below it.
#include <memory>

#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

#include "state.hpp"

namespace kvstore::storage_leveldb {
namespace {

State& self(kvs_state* s) {
  return *reinterpret_cast<State*>(s);
}
View& self(kvs_view* v) {
  return *reinterpret_cast<View*>(v);
}
Iter& self(kvs_iter* i) {
  return *reinterpret_cast<Iter*>(i);
}
Restore& self(kvs_restore* r) {
  return *reinterpret_cast<Restore*>(r);
}

kvs_status state_open(const kvs_host* host, const kvs_storage_options* opt, kvs_state** out,
                      kvs_error* err) noexcept {
  return sdk::guard(
      err, [&] { *out = reinterpret_cast<kvs_state*>(new State(host, sdk::copy_options(opt))); });
}

void state_close(kvs_state* s) noexcept {
  delete &self(s);
}

uint64_t state_capabilities(const kvs_state*) noexcept {
  return KVS_CAP_CHEAP_LONG_VIEWS;
}

const void* state_get_extension(kvs_state*, const char*) noexcept {
  return nullptr;
}

kvs_status state_write(kvs_state* s, const kvs_kv_batch* b, kvs_error* err) noexcept {
  return self(s).latch()->write(err, [&] { self(s).write(sdk::copy_options(b)); });
}

kvs_status state_sync(kvs_state* s, kvs_log_id* durable, kvs_error* err) noexcept {
  return self(s).latch()->write(err, [&] { *durable = self(s).sync(); });
}

kvs_status state_get_many(kvs_state* s, uint32_t space, const kvs_slice* keys, uint32_t n,
                          kvs_found_sink sink, void* ctx, kvs_error* err) noexcept {
  return self(s).latch()->read(err, [&] { return self(s).get_many(space, keys, n, sink, ctx); });
}

kvs_status view_open(kvs_state* s, kvs_view** out, kvs_error* err) noexcept {
  return self(s).latch()->read(err, [&] { *out = reinterpret_cast<kvs_view*>(new View(self(s))); });
}

void view_close(kvs_view* v) noexcept {
  delete &self(v);
}

kvs_status view_applied(kvs_view* v, kvs_log_id* at, kvs_slice_sink meta, void* ctx,
                        kvs_error* err) noexcept {
  return self(v).latch().read(err, [&] { return self(v).applied(at, meta, ctx); });
}

kvs_status view_get(kvs_view* v, uint32_t space, const kvs_slice* key, kvs_slice_sink sink,
                    void* ctx, kvs_error* err) noexcept {
  return self(v).latch().read(err, [&] { return self(v).get(space, sdk::view(*key), sink, ctx); });
}

kvs_status iter_open(kvs_view* v, const kvs_iter_options* opt, kvs_iter** out,
                     kvs_error* err) noexcept {
  return self(v).latch().read(err, [&] {
    const kvs_iter_options options = sdk::copy_options(opt);
    sdk::check_iter_options(options);
    *out = reinterpret_cast<kvs_iter*>(new Iter(self(v), options));
  });
}

kvs_status iter_next(kvs_iter* it, kvs_pair* out, uint32_t cap, uint64_t bytes_max, uint32_t* n,
                     kvs_error* err) noexcept {
  return self(it).latch().read(err, [&] { return self(it).next(out, cap, bytes_max, n); });
}

kvs_status iter_seek(kvs_iter* it, const kvs_slice* key, kvs_error* err) noexcept {
  return self(it).latch().read(err, [&] { self(it).seek(sdk::view(*key)); });
}

void iter_close(kvs_iter* it) noexcept {
  delete &self(it);
}

// A restore works on files of its own: its failures do not latch, except that of the final switch.
kvs_status restore_begin(kvs_state* s, kvs_restore** out, kvs_error* err) noexcept {
  return sdk::guard(err, [&] {
    self(s).latch()->check();
    *out = reinterpret_cast<kvs_restore*>(new Restore(self(s)));
  });
}

kvs_status restore_put(kvs_restore* r, uint32_t space, const kvs_pair* pairs, uint32_t n,
                       kvs_error* err) noexcept {
  return sdk::guard(err, [&] { self(r).put(space, pairs, n); });
}

kvs_status restore_commit(kvs_restore* r, const kvs_applied* applied, kvs_error* err) noexcept {
  std::unique_ptr<Restore> restore(&self(r));
  return sdk::guard(err, [&] {
    restore->state().latch()->check();
    sdk::require(applied != nullptr, "applied is missing");
    restore->commit(sdk::copy_options(applied));
  });
}

void restore_abort(kvs_restore* r) noexcept {
  delete &self(r);
}

kvs_status state_stats(kvs_state* s, kvs_slice_sink sink, void* ctx) noexcept {
  return sdk::guard(nullptr, [&] {
    const std::string json = self(s).stats();
    const kvs_slice slice = sdk::slice(json);
    return sink(ctx, &slice);
  });
}

}  // namespace

const kvs_state_api kStateTable = {
    sizeof(kvs_state_api),
    0,
    state_open,
    state_close,
    state_capabilities,
    state_get_extension,
    state_write,
    state_sync,
    state_get_many,
    view_open,
    view_close,
    view_applied,
    view_get,
    iter_open,
    iter_next,
    iter_seek,
    iter_close,
    restore_begin,
    restore_put,
    restore_commit,
    restore_abort,
    state_stats,
};

}  // namespace kvstore::storage_leveldb
