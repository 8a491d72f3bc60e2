// Goal: the C++ face of a front end works, and its proxy passes every engine call through both
// ways, catching each misuse by the plugin and each broken promise of the engine. Method: a front
// end whose calls of the engine the test makes itself, before an engine that completes when told
// to; bugs of the host run in a child process that must abort.
#include "plugin/api.hpp"

#include <string>

#include <doctest/doctest.h>

#include "plugin/slice.hpp"
#include "unit/plugin/aborts.hpp"
#include "unit/plugin/fake_engine.hpp"
#include "unit/plugin/fake_host.hpp"

using namespace kvstore;
using plugin::Api;
using plugin::ProxyOptions;
using test::aborts;
using test::FakeEngine;
using test::FakeHost;

namespace {

struct FakeApi {
  const kvs_engine* engine = nullptr;
  bool open = false;
  bool started = false;
  std::string name;
  kvs_status start_status = KVS_OK;
};
FakeApi* g_api = nullptr;

kvs_api_api fake_api_table() {
  kvs_api_api t{};
  t.struct_size = sizeof t;
  t.open = [](const kvs_host*, const kvs_api_options* o, kvs_api** out,
              kvs_error*) noexcept -> kvs_status {
    g_api->open = true;
    g_api->engine = o->engine;
    g_api->name = plugin::to_bytes(o->name);
    *out = reinterpret_cast<kvs_api*>(g_api);
    return KVS_OK;
  };
  t.start = [](kvs_api*, kvs_error*) noexcept -> kvs_status {
    g_api->started = g_api->start_status == KVS_OK;
    return g_api->start_status;
  };
  t.stop = [](kvs_api*) noexcept { g_api->started = false; };
  t.close = [](kvs_api*) noexcept { g_api->open = false; };
  t.bound_address = [](kvs_api*, kvs_slice_sink sink, void* ctx) noexcept -> kvs_status {
    kvs_slice s = plugin::to_slice("h:1");
    return sink(ctx, &s);
  };
  return t;
}

// What completions left behind.
struct Outcome {
  int count = 0;
  kvs_status status = KVS_OK;
  kvs_reader* reader = nullptr;
};

void note(void* user, const kvs_result* r) noexcept {
  auto* o = static_cast<Outcome*>(user);
  ++o->count;
  o->status = r->status;
}
void note_read(void* user, const kvs_result* r, kvs_reader* rd) noexcept {
  note(user, r);
  static_cast<Outcome*>(user)->reader = rd;
}
kvs_status count_item(void* ctx, const kvs_item*) noexcept {
  ++*static_cast<int*>(ctx);
  return KVS_OK;
}
kvs_status count_slice(void* ctx, const kvs_slice*) noexcept {
  ++*static_cast<int*>(ctx);
  return KVS_OK;
}

struct Fixture {
  Fixture() {
    g_api = &fake;
    call.struct_size = sizeof call;
    txn.struct_size = sizeof txn;
    read.struct_size = sizeof read;
    watch.struct_size = sizeof watch;
    watch.credit = 1;
  }
  ~Fixture() { g_api = nullptr; }

  Result<Api> open(bool checked = true) {
    return Api::open(&table, host.raw(), {"main", "h:0", "", "{}"}, &engine_table,
                     ProxyOptions{checked, true, "fake"});
  }
  Api started(bool checked = true) {
    Api api = open(checked).value();
    REQUIRE(api.start());
    e = fake.engine;
    return api;
  }
  bool reported(const char* what) {
    std::string bugs = host.take_bugs();
    INFO(bugs);
    return bugs.find(what) != std::string::npos;
  }
  kvs_status submit() { return e->txn(e->ctx, &call, &txn, note, &outcome, nullptr); }
  kvs_status open_reader(kvs_reader** now) {
    return e->read_open(e->ctx, &call, &read, note_read, &outcome, now, nullptr);
  }

  kvs_api_api table = fake_api_table();
  FakeApi fake;
  FakeHost host;
  FakeEngine engine;
  kvs_engine engine_table = test::fake_engine_table(&engine);
  const kvs_engine* e = nullptr;  // what the plugin sees
  kvs_call call{};
  kvs_txn txn{};
  kvs_read_options read{};
  kvs_watch_options watch{};
  Outcome outcome;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the life of a front end, with and without the proxy") {
  for (bool checked : {false, true}) {
    fake = FakeApi();
    Api api = started(checked);
    CHECK(fake.name == "main");
    CHECK((fake.engine == &engine_table) == !checked);
    CHECK(api.bound_address().value() == "h:1");
    Api moved = std::move(api);
    moved.close();
    CHECK(!fake.started);
    CHECK(!fake.open);
    fake.start_status = KVS_E_IO;
    Api failing = open(checked).value();
    CHECK(failing.start().code() == Code::kIo);
  }
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "transactions and control complete once; refused ones never") {
  Api api = started();
  CHECK(submit() == KVS_OK);
  CHECK(outcome.count == 0);
  engine.complete(KVS_E_BUSY);
  CHECK(outcome.count == 1);
  CHECK(outcome.status == KVS_E_BUSY);
  engine.answer = KVS_E_CLOSED;
  CHECK(submit() == KVS_E_CLOSED);
  engine.answer = KVS_OK;
  kvs_slice json = plugin::to_slice("{}");
  CHECK(e->control(e->ctx, &call, "health", &json, note, &outcome, nullptr) == KVS_OK);
  CHECK(engine.verb == "health");
  engine.complete();
  CHECK(outcome.count == 2);
  int pieces = 0;
  CHECK(e->metrics(e->ctx, count_slice, &pieces) == KVS_OK);
  CHECK(pieces == 1);
  CHECK(e->get_extension(e->ctx, "x") != nullptr);
  api.close();
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "readers, ready at once or later") {
  Api api = started();
  kvs_reader* now = nullptr;
  engine.reader_ready = true;
  CHECK(open_reader(&now) == KVS_OK);
  REQUIRE(now != nullptr);
  CHECK(e->read_revision(now) == 42);
  kvs_slice key = plugin::to_slice("k");
  int items = 0, pieces = 0;
  kvs_range all{{}, {}, KVS_RANGE_ALL, 0};
  CHECK(e->get(now, &key, count_item, &items, nullptr) == KVS_OK);
  CHECK(e->scan(now, &all, 0, 0, 100, count_item, &items, nullptr, nullptr) == KVS_OK);
  CHECK(e->value_read(now, &key, 0, 1, count_slice, &pieces, nullptr) == KVS_OK);
  CHECK(items == 2);
  CHECK(pieces == 1);
  e->read_close(now);
  CHECK(outcome.count == 0);

  engine.reader_ready = false;
  CHECK(open_reader(&now) == KVS_OK);
  CHECK(now == nullptr);
  engine.complete_read(KVS_OK, engine.reader());
  REQUIRE(outcome.reader != nullptr);
  CHECK(e->read_revision(outcome.reader) == 42);
  e->read_close(outcome.reader);
  CHECK(open_reader(&now) == KVS_OK);
  engine.complete_read(KVS_E_TIMEOUT, nullptr);
  CHECK(outcome.reader == nullptr);
  CHECK(engine.open_handles == 0);
  api.close();
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "uploads reach the transaction as the engine's own; blobs") {
  Api api = started();
  kvs_upload* upload = nullptr;
  REQUIRE(e->upload_open(e->ctx, &call, 5, &upload, nullptr) == KVS_OK);
  kvs_slice chunk = plugin::to_slice("chunk");
  CHECK(e->upload_write(upload, &chunk, note, &outcome, nullptr) == KVS_OK);
  engine.complete();
  kvs_op put{};
  put.kind = KVS_OP_PUT;
  put.upload = upload;
  txn.then_ops = &put;
  txn.then_count = 1;
  CHECK(submit() == KVS_OK);
  CHECK(engine.upload_in_txn == reinterpret_cast<kvs_upload*>(&engine));
  engine.complete();
  e->upload_close(upload);

  kvs_blob* blob = nullptr;
  REQUIRE(e->blob_open(e->ctx, &call, "snapshot", &blob, nullptr) == KVS_OK);
  int pieces = 0;
  CHECK(e->blob_read(blob, 10, count_slice, &pieces, nullptr) == KVS_E_END);
  e->blob_close(blob);
  CHECK(engine.open_handles == 0);
  api.close();
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "watches, closed outside and inside their callback") {
  Api api = started();
  struct Watcher {
    const kvs_engine* e;
    kvs_watch* handle = nullptr;
    int batches = 0;
    kvs_status last = KVS_OK;
    bool close_inside = false;
  } watcher{e};
  auto fn = [](void* user, kvs_status status, const kvs_event*, uint32_t n, uint64_t) noexcept {
    auto* w = static_cast<Watcher*>(user);
    w->batches += n > 0 ? 1 : 0;
    w->last = status;
    if (w->close_inside) w->e->watch_close(w->handle);
  };
  kvs_event event{};
  REQUIRE(e->watch_open(e->ctx, &call, &watch, fn, &watcher, &watcher.handle, nullptr) == KVS_OK);
  engine.watch_fn(engine.watch_user, KVS_OK, &event, 1, 1);
  engine.watch_fn(engine.watch_user, KVS_OK, nullptr, 0, 2);  // progress costs no credit
  e->watch_credit(watcher.handle, 1);
  CHECK(engine.credit == 2);
  engine.watch_fn(engine.watch_user, KVS_OK, &event, 1, 3);
  CHECK(watcher.batches == 2);
  CHECK(aborts([&] { engine.watch_fn(engine.watch_user, KVS_OK, &event, 1, 4); }));  // no credit
  e->watch_close(watcher.handle);

  REQUIRE(e->watch_open(e->ctx, &call, &watch, fn, &watcher, &watcher.handle, nullptr) == KVS_OK);
  watcher.close_inside = true;
  engine.watch_fn(engine.watch_user, KVS_E_COMPACTED, nullptr, 0, 9);
  CHECK(watcher.last == KVS_E_COMPACTED);
  engine.answer = KVS_E_INVALID;
  CHECK(e->watch_open(e->ctx, &call, &watch, fn, &watcher, &watcher.handle, nullptr) ==
        KVS_E_INVALID);
  CHECK(engine.open_handles == 0);
  api.close();
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "misuse by the plugin never reaches the engine") {
  Api api = open().value();
  e = fake.engine;
  CHECK(submit() == KVS_E_INTERNAL);
  CHECK(reported("engine.txn: called before start() or after stop()"));
  REQUIRE(api.start());

  CHECK(e->txn(e->ctx, nullptr, &txn, note, &outcome, nullptr) == KVS_E_INTERNAL);
  CHECK(reported("without a complete kvs_call"));
  CHECK(e->txn(e->ctx, &call, &txn, nullptr, &outcome, nullptr) == KVS_E_INTERNAL);
  CHECK(reported("without a completion"));
  std::string id(129, 'x');
  call.request_id = plugin::to_slice(id);
  CHECK(submit() == KVS_E_INTERNAL);
  CHECK(reported("above 128 bytes"));
  call.request_id = {nullptr, 1};
  CHECK(submit() == KVS_E_INTERNAL);
  CHECK(reported("a NULL slice"));
  call.request_id = {};

  kvs_op op{};
  op.upload = reinterpret_cast<kvs_upload*>(&op);
  txn.then_ops = &op;
  txn.then_count = 1;
  CHECK(submit() == KVS_E_INTERNAL);
  CHECK(reported("with an upload that is not open"));
  txn.then_ops = nullptr;
  CHECK(submit() == KVS_E_INTERNAL);
  CHECK(reported("operations that are NULL"));
  kvs_slice json{nullptr, 2};
  CHECK(e->control(e->ctx, &call, "x", &json, note, &outcome, nullptr) == KVS_E_INTERNAL);
  CHECK(reported("without verb or document"));
  CHECK(engine.calls == 0);
  CHECK(outcome.count == 0);
}

TEST_CASE_FIXTURE(Fixture, "handles left open at stop are reported") {
  Api api = started();
  kvs_reader* now = nullptr;
  engine.reader_ready = true;
  REQUIRE(open_reader(&now) == KVS_OK);
  kvs_blob* blob = nullptr;
  REQUIRE(e->blob_open(e->ctx, &call, "snapshot", &blob, nullptr) == KVS_OK);
  api.stop();
  std::string bugs = host.take_bugs();
  CHECK(bugs.find("did not close 1 readers") != std::string::npos);
  CHECK(bugs.find("did not close 1 blobs") != std::string::npos);
  e->read_close(now);
  e->blob_close(blob);
}

TEST_CASE_FIXTURE(Fixture, "an engine that breaks its promises aborts") {
  Api api = started();
  CHECK(aborts([&] {
    engine.complete_inside = true;
    (void)submit();
  }));
  CHECK(aborts([&] {
    (void)submit();
    engine.complete();
    engine.complete();
  }));
  CHECK(aborts([&] {
    (void)submit();
    api.stop();  // not drained
  }));
  CHECK(aborts([&] {
    kvs_reader* now = nullptr;
    (void)open_reader(&now);
    engine.complete_read(KVS_OK, nullptr);
  }));
  CHECK(!aborts([&] {
    (void)submit();
    engine.complete();
  }));
}
