// Goal: the proxies accept every legal interleaving of a writer and its readers, and are free of
// races. Method: a log and a state behind a mutex, one writer and two reader threads each; run it
// under ThreadSanitizer too.  Nothing may be reported.
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "plugin/log_store.hpp"
#include "plugin/slice.hpp"
#include "plugin/state_store.hpp"
#include "unit/plugin/fake_host.hpp"
#include "unit/plugin/fake_log.hpp"
#include "unit/plugin/fake_state.hpp"

using namespace kvstore;

namespace {

std::mutex g_mutex;

// The fake tables with a lock around each call.
kvs_log_api locked_log_table() {
  static const kvs_log_api inner = test::fake_log_table();
  kvs_log_api t = inner;
  t.write = [](kvs_log* l, const kvs_log_write* w, kvs_error* err) noexcept -> kvs_status {
    std::lock_guard lock(g_mutex);
    return inner.write(l, w, err);
  };
  t.compact = [](kvs_log* l, const kvs_log_id* upto, kvs_error* err) noexcept -> kvs_status {
    std::lock_guard lock(g_mutex);
    return inner.compact(l, upto, err);
  };
  t.state = [](kvs_log* l, kvs_log_state* out, kvs_error* err) noexcept -> kvs_status {
    std::lock_guard lock(g_mutex);
    return inner.state(l, out, err);
  };
  t.read = [](kvs_log* l, uint64_t first, uint64_t max_count, uint64_t max_bytes,
              kvs_entry_sink sink, void* ctx, kvs_error* err) noexcept -> kvs_status {
    std::lock_guard lock(g_mutex);
    return inner.read(l, first, max_count, max_bytes, sink, ctx, err);
  };
  t.term = [](kvs_log* l, uint64_t index, uint64_t* term, kvs_error* err) noexcept -> kvs_status {
    std::lock_guard lock(g_mutex);
    return inner.term(l, index, term, err);
  };
  return t;
}

kvs_state_api locked_state_table() {
  static const kvs_state_api inner = test::fake_state_table();
  kvs_state_api t = inner;
  t.write = [](kvs_state* s, const kvs_kv_batch* b, kvs_error* err) noexcept -> kvs_status {
    std::lock_guard lock(g_mutex);
    return inner.write(s, b, err);
  };
  t.sync = [](kvs_state* s, kvs_log_id* durable, kvs_error* err) noexcept -> kvs_status {
    std::lock_guard lock(g_mutex);
    return inner.sync(s, durable, err);
  };
  t.view_open = [](kvs_state* s, kvs_view** out, kvs_error* err) noexcept -> kvs_status {
    std::lock_guard lock(g_mutex);
    return inner.view_open(s, out, err);
  };
  t.view_close = [](kvs_view* v) noexcept {
    std::lock_guard lock(g_mutex);
    inner.view_close(v);
  };
  t.view_applied = [](kvs_view* v, kvs_log_id* at, kvs_slice_sink meta, void* ctx,
                      kvs_error* err) noexcept -> kvs_status {
    std::lock_guard lock(g_mutex);
    return inner.view_applied(v, at, meta, ctx, err);
  };
  return t;
}

// Runs `write(i)` for i = 1..count beside two threads that run `read()` until it is done.
template <typename Write, typename Read>
void race(uint64_t count, Write write, Read read) {
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!done) read();
    });
  }
  for (uint64_t i = 1; i <= count; ++i) write(i);
  done = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace

TEST_CASE("a log read while it is written, truncated and compacted") {
  test::FakeHost host;
  test::FakeLog log;
  test::g_fake_log = &log;
  const kvs_log_api table = locked_log_table();
  plugin::LogStore store = plugin::LogStore::open(&table, host.raw(), {"/nowhere", "", true, false},
                                                  {true, true, "fake"})
                               .value();
  std::atomic<int> failures{0};
  race(
      300,
      [&](uint64_t i) {
        kvs_entry e{{i, i}, 0, 0, plugin::to_slice("data")};
        if (!store.write(KVS_LOG_SYNC, {}, 0, {&e, 1})) ++failures;
        if (i % 10 == 0) {  // the same entry again, as after a lost acknowledgement
          if (!store.write(KVS_LOG_TRUNCATE, {}, i, {&e, 1})) ++failures;
        }
        if (i % 25 == 0 && !store.compact({i - 5, i - 5})) ++failures;
      },
      [&] {
        auto expected = [&](Code code) {
          if (code != Code::kOk && code != Code::kEnd && code != Code::kCompacted) ++failures;
        };
        Result<kvs_log_state> state = store.state();
        if (!state) return void(++failures);
        expected(store.term(state->last.index).status().code());
        expected(
            store.read(state->base.index + 1, 10, 30, [](const kvs_entry&) { return Status(); })
                .code());
      });
  CHECK(failures == 0);
  CHECK(host.take_bugs() == "");
  test::g_fake_log = nullptr;
}

TEST_CASE("a state viewed and synced while it is written") {
  test::FakeHost host;
  test::FakeState state;
  test::g_fake_state = &state;
  const kvs_state_api table = locked_state_table();
  {
    plugin::StateStore store =
        plugin::StateStore::open(&table, host.raw(), {"/nowhere", "", true, false},
                                 {true, true, "fake"})
            .value();
    std::atomic<int> failures{0};
    std::mutex sync_turn;  // sync() has one caller at a time
    race(
        300,
        [&](uint64_t i) {
          kvs_kv_op op{KVS_KV_PUT, 0, plugin::to_slice("key"), plugin::to_slice("value")};
          if (!store.write(0, {&op, 1}, {1, i}, "")) ++failures;
        },
        [&] {
          Result<plugin::View> view = store.view();
          if (!view || !view->applied()) ++failures;
          std::lock_guard turn(sync_turn);
          if (!store.sync()) ++failures;
        });
    CHECK(failures == 0);
    CHECK(host.take_bugs() == "");
  }
  test::g_fake_state = nullptr;
}
