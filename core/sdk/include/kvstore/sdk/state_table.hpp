// kvstore.state/1 over C++ classes: argument checks, the exception guard and the failure latch
// around them.
//
//   const kvs_state_api kStateTable = kvstore::sdk::StateTable<State, View, Iter,
//   Restore>::table();
//
// State(const kvs_host*, const kvs_storage_options&), View(State&), Iter(View&, options) and
// Restore(State&) open, their destructors close; their functions take and return what the code
// below passes on; failures are sdk::Error, or a status where the outcome is a normal one; latch()
// is the instance's FailureLatch, shared by its children.
#pragma once

#include <memory>
#include <string>

#include <kvstore/abi/state.h>
#include <kvstore/sdk/guard.hpp>
#include <kvstore/sdk/slice.hpp>
#include <kvstore/sdk/storage_rules.hpp>

namespace kvstore::sdk {

// kCapabilities is a set of KVS_CAP_*.
template <typename State, typename View, typename Iter, typename Restore,
          uint64_t kCapabilities = 0>
struct StateTable {
  static constexpr kvs_state_api table() {
    return {sizeof(kvs_state_api),
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
            state_stats};
  }

 private:
  static State& self(kvs_state* s) { return *reinterpret_cast<State*>(s); }
  static View& self(kvs_view* v) { return *reinterpret_cast<View*>(v); }
  static Iter& self(kvs_iter* i) { return *reinterpret_cast<Iter*>(i); }
  static Restore& self(kvs_restore* r) { return *reinterpret_cast<Restore*>(r); }

  static kvs_status state_open(const kvs_host* host, const kvs_storage_options* opt,
                               kvs_state** out, kvs_error* err) noexcept {
    return guard(err,
                 [&] { *out = reinterpret_cast<kvs_state*>(new State(host, copy_options(opt))); });
  }

  static void state_close(kvs_state* s) noexcept { delete &self(s); }

  static uint64_t state_capabilities(const kvs_state*) noexcept { return kCapabilities; }

  static const void* state_get_extension(kvs_state*, const char*) noexcept { return nullptr; }

  static kvs_status state_write(kvs_state* s, const kvs_kv_batch* b, kvs_error* err) noexcept {
    return self(s).latch()->write(err, [&] { self(s).write(copy_options(b)); });
  }

  static kvs_status state_sync(kvs_state* s, kvs_log_id* durable, kvs_error* err) noexcept {
    return self(s).latch()->write(err, [&] { *durable = self(s).sync(); });
  }

  static kvs_status state_get_many(kvs_state* s, uint32_t space, const kvs_slice* keys, uint32_t n,
                                   kvs_found_sink sink, void* ctx, kvs_error* err) noexcept {
    return self(s).latch()->read(err, [&] { return self(s).get_many(space, keys, n, sink, ctx); });
  }

  static kvs_status view_open(kvs_state* s, kvs_view** out, kvs_error* err) noexcept {
    return self(s).latch()->read(err,
                                 [&] { *out = reinterpret_cast<kvs_view*>(new View(self(s))); });
  }

  static void view_close(kvs_view* v) noexcept { delete &self(v); }

  static kvs_status view_applied(kvs_view* v, kvs_log_id* at, kvs_slice_sink meta, void* ctx,
                                 kvs_error* err) noexcept {
    return self(v).latch().read(err, [&] { return self(v).applied(at, meta, ctx); });
  }

  static kvs_status view_get(kvs_view* v, uint32_t space, const kvs_slice* key, kvs_slice_sink sink,
                             void* ctx, kvs_error* err) noexcept {
    return self(v).latch().read(err,
                                [&] { return self(v).get(space, sdk::view(*key), sink, ctx); });
  }

  static kvs_status iter_open(kvs_view* v, const kvs_iter_options* opt, kvs_iter** out,
                              kvs_error* err) noexcept {
    return self(v).latch().read(err, [&] {
      const kvs_iter_options options = copy_options(opt);
      check_iter_options(options);
      *out = reinterpret_cast<kvs_iter*>(new Iter(self(v), options));
    });
  }

  static kvs_status iter_next(kvs_iter* it, kvs_pair* out, uint32_t cap, uint64_t bytes_max,
                              uint32_t* n, kvs_error* err) noexcept {
    return self(it).latch().read(err, [&] { return self(it).next(out, cap, bytes_max, n); });
  }

  static kvs_status iter_seek(kvs_iter* it, const kvs_slice* key, kvs_error* err) noexcept {
    return self(it).latch().read(err, [&] { self(it).seek(view(*key)); });
  }

  static void iter_close(kvs_iter* it) noexcept { delete &self(it); }

  // A restore works on files of its own: its failures do not latch, except that of the final
  // switch.
  static kvs_status restore_begin(kvs_state* s, kvs_restore** out, kvs_error* err) noexcept {
    return guard(err, [&] {
      self(s).latch()->check();
      *out = reinterpret_cast<kvs_restore*>(new Restore(self(s)));
    });
  }

  static kvs_status restore_put(kvs_restore* r, uint32_t space, const kvs_pair* pairs, uint32_t n,
                                kvs_error* err) noexcept {
    return guard(err, [&] { self(r).put(space, pairs, n); });
  }

  static kvs_status restore_commit(kvs_restore* r, const kvs_applied* applied,
                                   kvs_error* err) noexcept {
    std::unique_ptr<Restore> restore(&self(r));
    return guard(err, [&] {
      restore->state().latch()->check();
      require(applied != nullptr, "applied is missing");
      restore->commit(copy_options(applied));
    });
  }

  static void restore_abort(kvs_restore* r) noexcept { delete &self(r); }

  static kvs_status state_stats(kvs_state* s, kvs_slice_sink sink, void* ctx) noexcept {
    return guard(nullptr, [&] {
      const std::string json = self(s).stats();
      const kvs_slice text = sdk::slice(json);
      return sink(ctx, &text);
    });
  }
};

}  // namespace kvstore::sdk
