// Goal: the C++ face of a log passes everything through both ways, and its proxy catches each
// broken promise of a plugin and each misuse by the host. Method: a log in memory that keeps the
// contract, spoilt in one way per case; host bugs run in a child process that must abort.
#include "plugin/log_store.hpp"

#include <cstring>

#include <doctest/doctest.h>

#include "unit/plugin/aborts.hpp"
#include "unit/plugin/fake_host.hpp"
#include "unit/plugin/fake_log.hpp"

using namespace kvstore;
using plugin::LogStore;
using plugin::ProxyOptions;
using test::aborts;
using test::FakeHost;
using test::FakeLog;

namespace {

struct Fixture {
  Fixture() { test::g_fake_log = &log; }
  ~Fixture() { test::g_fake_log = nullptr; }

  Result<LogStore> open(bool checked = true) {
    plugin::StorageOptions options;
    options.data_dir = "/nowhere";
    options.config_json = R"({"a": 1})";
    options.create = true;
    return LogStore::open(&table, host.raw(), options, ProxyOptions{checked, true, "fake"});
  }

  kvs_log_api table = test::fake_log_table();
  FakeLog log;
  FakeHost host;
};

kvs_entry entry(uint64_t term, uint64_t index, const char* data) {
  return {{term, index}, 7, 8, {reinterpret_cast<const uint8_t*>(data), std::strlen(data)}};
}

Status append(LogStore& store, std::vector<kvs_entry> entries) {
  return store.write(KVS_LOG_SYNC, {}, 0, entries);
}

Status read_all(LogStore& store, uint64_t first, std::string* out) {
  return store.read(first, 100, 1 << 20, [&](const kvs_entry& e) {
    out->append(reinterpret_cast<const char*>(e.data.data), e.data.len).append(",");
    return Status();
  });
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "everything passes through, with and without the proxy") {
  for (bool checked : {false, true}) {
    CAPTURE(checked);
    log = FakeLog();
    {
      LogStore store = open(checked).value();
      CHECK(log.open);
      CHECK(log.open_flags == KVS_STORAGE_CREATE);
      CHECK(log.config == R"({"a": 1})");
      CHECK(store.write(KVS_LOG_SYNC | KVS_LOG_SET_HARD_STATE, {2, 5, 0}, 0, {}));
      CHECK(append(store, {entry(1, 1, "a"), entry(2, 2, "bb"), entry(2, 3, "ccc")}));
      std::vector<kvs_entry> replacement{entry(3, 3, "d")};
      CHECK(store.write(KVS_LOG_TRUNCATE, {}, 3, replacement));

      kvs_log_state state = store.state().value();
      CHECK(state.hard.voted_for == 5);
      CHECK(state.last.index == 3);
      CHECK(state.last.term == 3);
      std::string all;
      CHECK(read_all(store, 1, &all));
      CHECK(all == "a,bb,d,");
      CHECK(store.term(2).value() == 2);
      CHECK(store.compact({2, 2}));
      CHECK(read_all(store, 2, &all).code() == Code::kCompacted);
      CHECK(store.term(1).status().code() == Code::kCompacted);
      CHECK(store.term(2).value() == 2);
      CHECK(read_all(store, 4, &all).code() == Code::kEnd);
      CHECK(store.write(KVS_LOG_TRUNCATE, {}, 3, {}));
      CHECK(store.state().value().last.index == 2);
      CHECK(store.reset({9, 90}));
      CHECK(store.state().value().base.index == 90);
      CHECK(store.stats().value() == R"({"entries": 1})");
      CHECK(store.get_extension("test.thing/1") != nullptr);
      CHECK(store.get_extension("test.other/1") == nullptr);

      LogStore moved = std::move(store);
      CHECK(!store.is_open());
      CHECK(moved.is_open());
    }
    CHECK(!log.open);
  }
  CHECK(host.take_bugs() == "");
}

TEST_CASE_FIXTURE(Fixture, "errors carry the call, the plugin's message and errno") {
  LogStore store = open().value();
  log.on_write = [](kvs_error* err) {
    err->code = KVS_E_IO;
    err->sys_errno = 5;
    std::strcpy(err->message, "pwrite failed");
    return KVS_E_IO;
  };
  Status status = append(store, {entry(1, 1, "a")});
  CHECK(status.code() == Code::kIo);
  CHECK(status.message() == "log.write: pwrite failed (errno 5)");
  log.open_status = KVS_E_NOT_FOUND;
  CHECK(open().status().code() == Code::kNotFound);
}

TEST_CASE_FIXTURE(Fixture, "a sink that fails ends the read with its own status") {
  for (bool checked : {false, true}) {
    log.entries.clear();
    LogStore store = open(checked).value();
    CHECK(append(store, {entry(1, 1, "a"), entry(1, 2, "b")}));
    int calls = 0;
    Status status = store.read(1, 10, 10, [&](const kvs_entry&) {
      ++calls;
      return Status(Code::kCorrupt, "bad checksum");
    });
    CHECK(calls == 1);
    CHECK(status.to_string() == "corrupt: bad checksum");
  }
}

TEST_CASE_FIXTURE(Fixture, "broken promises become kInternal and are reported") {
  LogStore store = open().value();
  REQUIRE(append(store, {entry(1, 1, "aaaa"), entry(2, 2, "bbbb"), entry(2, 3, "cccc")}));
  auto caught = [&](const Status& status, const char* what) {
    std::string bugs = host.take_bugs();
    INFO(status.to_string() << " / " << bugs);
    return status.code() == Code::kInternal && bugs.find(what) != std::string::npos;
  };
  std::string out;

  SUBCASE("reads") {
    log.on_read = [](auto* e) { e->erase(e->begin()); };
    CHECK(caught(read_all(store, 1, &out), "delivered index 2 where 1 is due"));
    log.on_read = [](auto* e) { (*e)[2].id.term = 1; };
    CHECK(caught(read_all(store, 1, &out), "a term that goes back"));
    log.on_read = [](auto* e) { e->clear(); };
    CHECK(caught(read_all(store, 1, &out), "without delivering an entry"));
    log.on_read = nullptr;
    log.read_status = KVS_E_END;
    CHECK(caught(read_all(store, 3, &out), "END before the last"));
    log.read_status = KVS_E_COMPACTED;
    CHECK(caught(read_all(store, 1, &out), "COMPACTED above the base"));
    log.read_status = -7;
    CHECK(caught(read_all(store, 1, &out), "status -7"));
  }
  SUBCASE("read limits") {
    kvs_entry third = entry(2, 3, "cccc");
    log.on_read = [&](auto* e) { e->push_back(third); };
    Status status = store.read(1, 2, 100, [](const kvs_entry&) { return Status(); });
    CHECK(caught(status, "more than max_count"));
    kvs_entry second = entry(2, 2, "bbbb");
    log.on_read = [&](auto* e) { e->push_back(second); };
    status = store.read(1, 10, 4, [](const kvs_entry&) { return Status(); });
    CHECK(caught(status, "more than max_bytes"));
  }
  SUBCASE("state") {
    log.on_state = [](kvs_log_state* s) { s->last.index = 2; };
    CHECK(caught(store.state().status(), "reports (0, 0)..(2, 2)"));
    log.on_state = [](kvs_log_state* s) { s->base = {9, 9}; };
    CHECK(caught(store.state().status(), "lies before base"));
    log.on_state = [](kvs_log_state* s) { s->hard.voted_for = 9; };
    CHECK(caught(store.state().status(), "another hard state"));
    log.on_state = [](kvs_log_state* s) { s->struct_size = 1; };
    CHECK(caught(store.state().status(), "struct_size"));
  }
  SUBCASE("terms") {
    log.term_offset = 1;
    CHECK(caught(store.term(0).status(), "another term at the base"));
    CHECK(caught(store.term(3).status(), "another term at the last entry"));
  }
  SUBCASE("writes") {
    log.on_write = [](kvs_error*) { return KVS_E_INVALID; };
    CHECK(caught(append(store, {entry(2, 4, "d")}), "refused a valid request"));
    log.on_write = [](kvs_error* err) {
      std::memset(err->message, 'x', sizeof err->message);
      return KVS_E_BUSY;
    };
    CHECK(caught(append(store, {entry(2, 4, "d")}), "terminating NUL"));
    log.on_write = [](kvs_error*) { return KVS_E_NO_SPACE; };
    CHECK(append(store, {entry(2, 4, "d")}).code() == Code::kNoSpace);
    CHECK(host.take_bugs() == "");
    log.on_write = nullptr;
    CHECK(caught(append(store, {entry(2, 4, "d")}), "must latch"));
  }
  SUBCASE("open") {
    log.null_handle = true;
    CHECK(caught(open().status(), "without a handle"));
    log.null_handle = false;
    log.on_state = [](kvs_log_state* s) { s->base = {9, 9}; };
    CHECK(caught(open().status(), "lies before base"));
    CHECK(!log.open);
  }
}

TEST_CASE_FIXTURE(Fixture, "misuse by the host aborts") {
  LogStore store = open().value();
  REQUIRE(append(store, {entry(1, 1, "a"), entry(2, 2, "b")}));
  REQUIRE(store.write(KVS_LOG_SET_HARD_STATE, {5, 1, 0}, 0, {}));
  CHECK(aborts([&] { (void)append(store, {entry(2, 4, "gap")}); }));
  CHECK(aborts([&] { (void)append(store, {entry(1, 3, "older term")}); }));
  CHECK(aborts([&] { (void)store.write(KVS_LOG_TRUNCATE, {}, 4, {}); }));
  CHECK(aborts([&] { (void)store.write(KVS_LOG_TRUNCATE, {}, 0, {}); }));
  CHECK(aborts([&] { (void)store.write(KVS_LOG_SET_HARD_STATE, {4, 0, 0}, 0, {}); }));
  CHECK(aborts([&] { (void)store.write(KVS_LOG_SET_HARD_STATE, {5, 2, 0}, 0, {}); }));
  CHECK(aborts([&] { (void)store.write(1u << 20, {}, 0, {}); }));
  CHECK(aborts([&] { (void)store.compact({2, 3}); }));
  // The same child without misuse ends well.
  CHECK(!aborts([&] { (void)append(store, {entry(2, 3, "fine")}); }));
}

TEST_CASE_FIXTURE(Fixture, "calls are measured on the host's clock when it has metrics") {
  host.with_metrics = true;
  host.step_ns(1000);
  LogStore store = open(/*checked=*/false).value();
  CHECK(append(store, {entry(1, 1, "a")}));
  CHECK(append(store, {entry(1, 2, "b")}));
  auto seen =
      host.observed(R"(kvstore_plugin_call_seconds{interface="log",plugin="fake",call="write"})");
  REQUIRE(seen.size() == 2);
  CHECK(seen[0] == doctest::Approx(1e-6));
}
