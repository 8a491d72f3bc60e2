// Goal: the C++ face of a state passes everything through both ways, and its proxy catches each
// broken promise of a plugin and each misuse by the host. Method: a state in memory that keeps the
// contract, spoilt in one way per case; host bugs run in a child process that must abort.
#include "plugin/state_store.hpp"

#include <vector>

#include <doctest/doctest.h>

#include "plugin/slice.hpp"
#include "unit/plugin/aborts.hpp"
#include "unit/plugin/fake_host.hpp"
#include "unit/plugin/fake_state.hpp"

using namespace kvstore;
using plugin::Iterator;
using plugin::ProxyOptions;
using plugin::Restore;
using plugin::StateStore;
using plugin::View;
using test::aborts;
using test::FakeHost;
using test::FakeState;

namespace {

kvs_kv_op put(const std::string& key, const std::string& value, uint32_t space = 0) {
  return {KVS_KV_PUT, space, test::bytes(key), test::bytes(value)};
}

struct Fixture {
  Fixture() { test::g_fake_state = &state; }
  ~Fixture() { test::g_fake_state = nullptr; }

  Result<StateStore> open(bool checked = true) {
    return StateStore::open(&table, host.raw(), {"/nowhere", "", true, false},
                            ProxyOptions{checked, true, "fake"});
  }
  bool caught(const Status& status, const char* what) {
    std::string bugs = host.take_bugs();
    INFO(status.to_string() << " / " << bugs);
    return status.code() == Code::kInternal && bugs.find(what) != std::string::npos;
  }

  kvs_state_api table = test::fake_state_table();
  FakeState state;
  FakeHost host;
};

// Three pairs at index 3.
void fill(StateStore& store) {
  static const std::string a = "a", b = "b", c = "c", one = "1", two = "22", three = "333";
  std::vector<kvs_kv_op> ops{put(a, one), put(b, two), put(c, three), put(a, three, 1)};
  REQUIRE(store.write(0, ops, {1, 3}, "meta"));
}

std::string walk(Iterator& it, size_t cap, uint64_t bytes_max) {
  std::string all;
  std::vector<kvs_pair> pairs(cap);
  while (true) {
    size_t n = it.next(pairs, bytes_max).value();
    if (n == 0) return all;
    for (size_t i = 0; i < n; ++i) {
      all += test::text(pairs[i].key) + '=' + test::text(pairs[i].value) + ' ';
    }
  }
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "everything passes through, with and without the proxy") {
  for (bool checked : {false, true}) {
    CAPTURE(checked);
    state = FakeState();
    StateStore store = open(checked).value();
    fill(store);
    CHECK(store.capabilities() == KVS_CAP_CHEAP_LONG_VIEWS);
    CHECK(store.sync().value().index == 3);
    {
      View opened = store.view().value();
      View view = std::move(opened);
      CHECK(store.write(KVS_KV_SYNC, {}, {2, 4}, ""));
      plugin::AppliedMark mark = view.applied().value();
      CHECK(mark.at.index == 3);
      CHECK(mark.meta == "meta");
      CHECK(view.get(0, "b").value() == "22");
      CHECK(view.get(1, "b").status().code() == Code::kNotFound);

      Iterator it = view.iterate({.lower = "a", .upper = "c"}).value();
      CHECK(walk(it, 1, 0) == "a=1 b=22 ");
      CHECK(it.seek("b"));
      CHECK(walk(it, 10, 100) == "b=22 ");
      Iterator back = view.iterate({.reverse = true, .keys_only = true}).value();
      CHECK(walk(back, 10, 100) == "c= b= a= ");
      Iterator moved = std::move(it);
      CHECK(moved.seek("a"));
    }
    std::vector<kvs_slice> keys{plugin::to_slice("c"), plugin::to_slice("x")};
    std::string found;
    CHECK(store.get_many(0, keys, [&](uint32_t i, bool hit, Bytes value) {
      found += std::to_string(i) + (hit ? "+" : "-") + std::string(value) + ' ';
      return Status();
    }));
    CHECK(found == "0+333 1- ");
    CHECK(state.live == 0);
    CHECK(store.stats().value() == "{}");
    store.close();
    CHECK(!state.open);
  }
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "a restore is committed or, when dropped, aborted") {
  for (bool checked : {false, true}) {
    StateStore store = open(checked).value();
    std::vector<kvs_pair> pairs{{plugin::to_slice("k"), plugin::to_slice("v")}};
    {
      Restore dropped = store.restore().value();
      CHECK(dropped.put(0, pairs));
    }
    CHECK(state.live == 0);
    Restore restore = store.restore().value();
    CHECK(restore.put(0, pairs));
    CHECK(restore.commit({4, 44}, "m"));
    restore.abort();
    CHECK(state.live == 0);
    View view = store.view().value();
    CHECK(view.applied().value().at.index == 44);
    CHECK(view.get(0, "k").value() == "v");
  }
}

TEST_CASE_FIXTURE(Fixture, "a sink that fails ends the call with its own status") {
  for (bool checked : {false, true}) {
    StateStore store = open(checked).value();
    fill(store);
    View view = store.view().value();
    auto refuse = [](Bytes) { return Status(Code::kBusy, "later"); };
    CHECK(view.get(0, "a", refuse).to_string() == "busy: later");
    std::vector<kvs_slice> keys{plugin::to_slice("a"), plugin::to_slice("b")};
    int calls = 0;
    Status status = store.get_many(0, keys, [&](uint32_t, bool, Bytes) {
      ++calls;
      return Status(Code::kCancelled, "enough");
    });
    CHECK(status.to_string() == "cancelled: enough");
    CHECK(calls == 1);
  }
}

TEST_CASE_FIXTURE(Fixture, "broken promises of the store become kInternal and are reported") {
  StateStore store = open().value();
  fill(store);

  SUBCASE("sync") {
    state.sync_offset = -1;
    CHECK(caught(store.sync().status(), "left (1, 3) unsynced"));
    state.sync_offset = 1;
    CHECK(caught(store.sync().status(), "newest is (1, 3)"));
  }
  SUBCASE("writes") {
    state.write_status = KVS_E_INVALID;
    CHECK(caught(store.write(0, {}, {1, 4}, ""), "refused a valid request"));
    state.write_status = KVS_E_IO;
    CHECK(store.write(0, {}, {1, 4}, "").code() == Code::kIo);
    state.write_status = KVS_OK;
    CHECK(caught(store.write(0, {}, {1, 4}, ""), "must latch"));
  }
  SUBCASE("views") {
    state.view_offset = -1;
    CHECK(caught(store.view().status(), "shows (1, 2)"));
    state.view_offset = 1;
    CHECK(caught(store.view().status(), "shows (1, 4)"));
    CHECK(state.live == 0);
    state.view_offset = 0;
    state.view_drift = 1;
    View view = store.view().value();
    CHECK(caught(view.applied().status(), "mark of an open view changed"));
    state.value_calls = 0;
    CHECK(caught(view.get(0, "a").status(), "disagree"));
    state.value_calls = 2;
    CHECK(caught(view.get(0, "a").status(), "more than one piece"));
    state.null_handles = true;
    CHECK(caught(store.view().status(), "without a handle"));
  }
  SUBCASE("get_many") {
    std::vector<kvs_slice> keys{plugin::to_slice("a"), plugin::to_slice("b")};
    auto sink = [](uint32_t, bool, Bytes) { return Status(); };
    state.skip_found = 0;
    CHECK(caught(store.get_many(0, keys, sink), "answered key 1 where 0 is due"));
    state.skip_found = 1;
    CHECK(caught(store.get_many(0, keys, sink), "answered 1 of 2"));
  }
}

TEST_CASE_FIXTURE(Fixture, "broken promises of an iterator become kInternal and are reported") {
  StateStore store = open().value();
  fill(store);
  View view = store.view().value();
  std::vector<kvs_pair> out(2);
  auto next = [&](Iterator& it) { return it.next(out, 100).status(); };

  Iterator it = view.iterate({.lower = "a", .upper = "c"}).value();
  SUBCASE("order") {
    state.on_next = [](auto* p) { std::swap((*p)[0], (*p)[1]); };
    CHECK(caught(next(it), "out of order"));
  }
  SUBCASE("the same key again in the next call") {
    REQUIRE(it.next(std::span(out).first(1), 100));
    state.on_next = [](auto* p) { (*p)[0].key = plugin::to_slice("a"); };
    CHECK(caught(next(it), "out of order"));
  }
  SUBCASE("bounds") {
    state.on_next = [](auto* p) { (*p)[1].key = plugin::to_slice("c"); };
    CHECK(caught(next(it), "outside the bounds"));
  }
  SUBCASE("seek") {
    REQUIRE(it.seek("b"));
    state.on_next = [](auto* p) { (*p)[0].key = plugin::to_slice("a"); };
    CHECK(caught(next(it), "before the one sought"));
  }
  SUBCASE("keys only") {
    Iterator keys = view.iterate({.keys_only = true}).value();
    state.on_next = [](auto* p) { (*p)[0].value = plugin::to_slice("v"); };
    CHECK(caught(next(keys), "only keys"));
  }
  SUBCASE("bytes") {
    state.on_next = [](auto* p) { p->resize(2, kvs_pair{plugin::to_slice("b"), {}}); };
    CHECK(caught(it.next(out, 1).status(), "more than bytes_max"));
  }
  SUBCASE("pairs after the end") {
    state.endless = true;
    REQUIRE(next(it));
    REQUIRE(it.next(out, 100).value() == 0);
    CHECK(caught(next(it), "after the end"));
  }
}

TEST_CASE_FIXTURE(Fixture, "misuse by the host aborts") {
  StateStore store = open().value();
  fill(store);
  std::vector<kvs_kv_op> bad_space{put("k", "v", 16)};
  std::vector<kvs_kv_op> bad_kind{{9, 0, {}, {}}};
  CHECK(aborts([&] { (void)store.write(0, {}, {1, 2}, ""); }));
  CHECK(aborts([&] { (void)store.write(0, {}, {0, 4}, ""); }));
  CHECK(aborts([&] { (void)store.write(0, bad_space, {1, 4}, ""); }));
  CHECK(aborts([&] { (void)store.write(0, bad_kind, {1, 4}, ""); }));
  CHECK(aborts([&] {
    View view = store.view().value();
    store.close();
  }));
  CHECK(!aborts([&] { (void)store.write(0, {}, {1, 3}, ""); }));
}

TEST_CASE_FIXTURE(Fixture, "calls are measured when the host has metrics") {
  host.with_metrics = true;
  host.step_ns(500);
  StateStore store = open(/*checked=*/false).value();
  fill(store);
  View view = store.view().value();
  CHECK(view.get(0, "a"));
  CHECK(host.observed(
                R"(kvstore_plugin_call_seconds{interface="state",plugin="fake",call="view_get"})")
            .size() == 1);
}
