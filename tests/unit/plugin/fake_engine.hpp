// An engine for front ends under test: keeps what it is given, completes when the test says so.
#pragma once

#include <string>

#include <kvstore/abi/api.h>

namespace kvstore::test {

struct FakeEngine {
  // The last accepted call.
  kvs_done done = nullptr;
  kvs_read_done read_done = nullptr;
  void* user = nullptr;
  kvs_watch_fn watch_fn = nullptr;
  void* watch_user = nullptr;
  kvs_upload* upload_in_txn = nullptr;
  std::string verb;
  int calls = 0;
  int open_handles = 0;
  uint64_t credit = 0;

  // How to behave.
  kvs_status answer = KVS_OK;
  bool complete_inside = false;  // a bug
  bool reader_ready = false;

  void complete(kvs_status status = KVS_OK) {
    kvs_result r{};
    r.struct_size = sizeof r;
    r.status = status;
    done(user, &r);
  }
  void complete_read(kvs_status status, kvs_reader* reader) {
    kvs_result r{};
    r.struct_size = sizeof r;
    r.status = status;
    if (reader != nullptr) ++open_handles;
    read_done(user, &r, reader);
  }
  kvs_reader* reader() { return reinterpret_cast<kvs_reader*>(this); }
};

inline FakeEngine& engine_of(void* ctx) {
  return *static_cast<FakeEngine*>(ctx);
}

inline kvs_status accept_call(FakeEngine& e, kvs_done done, void* user) {
  ++e.calls;
  e.done = done;
  e.user = user;
  if (e.complete_inside) e.complete();
  return e.answer;
}

inline kvs_status one_item(kvs_item_sink sink, void* sctx) {
  kvs_item item{};
  item.version = 1;
  return sink(sctx, &item);
}

inline void reading_functions(kvs_engine& t) {
  t.read_open = [](void* ctx, const kvs_call*, const kvs_read_options*, kvs_read_done done,
                   void* user, kvs_reader** now, kvs_error*) noexcept -> kvs_status {
    FakeEngine& e = engine_of(ctx);
    ++e.calls;
    e.read_done = done;
    e.user = user;
    if (e.answer == KVS_OK && e.reader_ready) {
      ++e.open_handles;
      *now = e.reader();
    }
    return e.answer;
  };
  t.read_revision = [](kvs_reader*) noexcept -> uint64_t { return 42; };
  t.get = [](kvs_reader*, const kvs_slice*, kvs_item_sink sink, void* sctx,
             kvs_error*) noexcept -> kvs_status { return one_item(sink, sctx); };
  t.scan = [](kvs_reader*, const kvs_range*, uint32_t, uint64_t, uint64_t, kvs_item_sink sink,
              void* sctx, kvs_slice_sink,
              kvs_error*) noexcept -> kvs_status { return one_item(sink, sctx); };
  t.value_read = [](kvs_reader*, const kvs_slice* key, uint64_t, uint64_t, kvs_slice_sink sink,
                    void* sctx, kvs_error*) noexcept -> kvs_status { return sink(sctx, key); };
  t.read_close = [](kvs_reader* r) noexcept { --reinterpret_cast<FakeEngine*>(r)->open_handles; };
}

inline void handle_functions(kvs_engine& t) {
  t.upload_open = [](void* ctx, const kvs_call*, uint64_t, kvs_upload** out,
                     kvs_error*) noexcept -> kvs_status {
    ++engine_of(ctx).open_handles;
    *out = static_cast<kvs_upload*>(ctx);
    return KVS_OK;
  };
  t.upload_write = [](kvs_upload* u, const kvs_slice*, kvs_done done, void* user,
                      kvs_error*) noexcept -> kvs_status {
    return accept_call(*reinterpret_cast<FakeEngine*>(u), done, user);
  };
  t.upload_close = [](kvs_upload* u) noexcept { --reinterpret_cast<FakeEngine*>(u)->open_handles; };
  t.watch_open = [](void* ctx, const kvs_call*, const kvs_watch_options* o, kvs_watch_fn fn,
                    void* user, kvs_watch** out, kvs_error*) noexcept -> kvs_status {
    FakeEngine& e = engine_of(ctx);
    if (e.answer != KVS_OK) return e.answer;
    ++e.open_handles;
    e.watch_fn = fn;
    e.watch_user = user;
    e.credit = o->credit;
    *out = static_cast<kvs_watch*>(ctx);
    return KVS_OK;
  };
  t.watch_credit = [](kvs_watch* w, uint32_t n) noexcept {
    reinterpret_cast<FakeEngine*>(w)->credit += n;
  };
  t.watch_close = [](kvs_watch* w) noexcept { --reinterpret_cast<FakeEngine*>(w)->open_handles; };
  t.blob_open = [](void* ctx, const kvs_call*, const char*, kvs_blob** out,
                   kvs_error*) noexcept -> kvs_status {
    ++engine_of(ctx).open_handles;
    *out = static_cast<kvs_blob*>(ctx);
    return KVS_OK;
  };
  t.blob_read = [](kvs_blob*, uint64_t, kvs_slice_sink, void*, kvs_error*) noexcept -> kvs_status {
    return KVS_E_END;
  };
  t.blob_close = [](kvs_blob* b) noexcept { --reinterpret_cast<FakeEngine*>(b)->open_handles; };
}

inline kvs_engine fake_engine_table(FakeEngine* engine) {
  kvs_engine t{};
  t.struct_size = sizeof t;
  t.ctx = engine;
  t.txn = [](void* ctx, const kvs_call*, const kvs_txn* txn, kvs_done done, void* user,
             kvs_error*) noexcept -> kvs_status {
    if (txn->then_count > 0) engine_of(ctx).upload_in_txn = txn->then_ops[0].upload;
    return accept_call(engine_of(ctx), done, user);
  };
  reading_functions(t);
  handle_functions(t);
  t.control = [](void* ctx, const kvs_call*, const char* verb, const kvs_slice*, kvs_done done,
                 void* user, kvs_error*) noexcept -> kvs_status {
    engine_of(ctx).verb = verb;
    return accept_call(engine_of(ctx), done, user);
  };
  t.metrics = [](void*, kvs_slice_sink sink, void* sctx) noexcept -> kvs_status {
    kvs_slice s{reinterpret_cast<const uint8_t*>("m 1\n"), 4};
    return sink(sctx, &s);
  };
  t.get_extension = [](void*, const char* id) noexcept -> const void* { return id; };
  return t;
}

}  // namespace kvstore::test
